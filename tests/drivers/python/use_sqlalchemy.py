"""SQLAlchemy: core and ORM over psycopg 3, psycopg2, pg8000 and asyncpg, reflection, pools, isolation levels."""

import asyncio
import datetime
import decimal
import os
import time

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

from common import PAUSE_SECONDS, REPETITIONS, attempt, connection_values, note_route, rows, say, version

version("sqlalchemy", sa)
HOST, PORT, USER, PASSWORD, DATABASE = connection_values()


def url(driver):
    return sa.URL.create(f"postgresql+{driver}", USER, PASSWORD, HOST, PORT, DATABASE)


class Base(DeclarativeBase):
    pass


class Author(Base):
    __tablename__ = "authors"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    born: Mapped[datetime.date | None]
    books: Mapped[list["Book"]] = relationship(back_populates="author", order_by="Book.id")


class Book(Base):
    __tablename__ = "books"
    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int] = mapped_column(sa.ForeignKey("authors.id"))
    title: Mapped[str]
    price: Mapped[decimal.Decimal] = mapped_column(sa.Numeric(10, 2))
    tags: Mapped[list[str]] = mapped_column(sa.ARRAY(sa.Text))
    about: Mapped[dict] = mapped_column(sa.JSON)
    author: Mapped[Author] = relationship(back_populates="books")


totals = sa.table("customer_totals", *[sa.column(n, t) for n, t in [("id", sa.Integer), ("name", sa.Text), ("country", sa.Text), ("spent", sa.Numeric)]])
countries = sa.table("country_totals", sa.column("country", sa.Text), sa.column("spent", sa.Numeric))
READS = {
    "point": sa.select(totals.c.name, totals.c.spent).where(totals.c.id == 17),
    "in": sa.select(totals.c.id, totals.c.spent).where(totals.c.id.in_([3, 5, 8])).order_by(totals.c.id),
    "any": sa.select(totals.c.id).where(totals.c.id == sa.any_(sa.literal([3, 5, 8], sa.ARRAY(sa.Integer)))).order_by(totals.c.id),
    "top": sa.select(totals.c.id, totals.c.spent).order_by(totals.c.spent.desc(), totals.c.id).limit(5).offset(2),
    "join": sa.select(totals.c.id, countries.c.spent)
    .join_from(totals, countries, totals.c.country == countries.c.country)
    .where(totals.c.id < 5)
    .order_by(totals.c.id),
    "aggregate": sa.select(sa.func.count(), sa.func.sum(totals.c.spent)).select_from(totals),
    "text": sa.select(totals.c.id).where(totals.c.country == "JP").order_by(totals.c.id).limit(3),
}


def reads(engine, label):
    for kind, statement in READS.items():
        for autocommit in (False, True):
            name = f"{kind} {label}{' autocommit' if autocommit else ''}"
            options = {"isolation_level": "AUTOCOMMIT"} if autocommit else {}
            before = None
            for n in range(REPETITIONS):
                with engine.connect().execution_options(**options) as connection:
                    found = [tuple(row) for row in connection.execute(statement)]
                    if found != before:
                        rows(name, found)
                    before = found
                    if n == REPETITIONS - 1:
                        note_route(name, lambda sql: connection.exec_driver_sql(sql).scalar())
                time.sleep(PAUSE_SECONDS)


def orm(engine):
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        for n in range(5):
            books = [Book(title=f"book {n}.{m}", price=decimal.Decimal(m) / 4, tags=["a", f"t{m}"], about={"n": [m, None]}) for m in range(4)]
            session.add(Author(name=f"author {n}", born=datetime.date(1900 + n, 1, 1), books=books))
        session.commit()
        for author in session.scalars(sa.select(Author).order_by(Author.name)):
            say("author", [author.name, author.born, [(b.title, b.price, b.tags, b.about) for b in author.books]])
        session.add(Author(name="author 0"))
        attempt("unique", session.flush)
        session.rollback()
        with session.begin_nested():
            session.execute(sa.update(Book).where(Book.price > 0.5).values(price=1))
        say("updated", session.scalars(sa.select(Book.price).order_by(Book.title)).all())
        session.rollback()
        say("bulk", len(session.scalars(sa.insert(Author).returning(Author.id), [{"name": f"bulk {n}"} for n in range(1200)]).all()))
        session.commit()
        say("streamed", sum(1 for _ in session.scalars(sa.select(Author).execution_options(yield_per=100))))
        wrong = 0
        for n in range(50):
            session.execute(sa.text("INSERT INTO scratch VALUES (:id, 'orm', 1, NULL)"), {"id": 50000 + n})
            session.commit()
            found = session.execute(sa.text("SELECT rows FROM scratch_totals WHERE label = :label"), {"label": "orm"})
            wrong += found.scalar() != n + 1
        say("writes not seen", wrong)
        session.execute(sa.text("DELETE FROM scratch WHERE label = 'orm'"))
        session.commit()
    inspector = sa.inspect(engine)
    for table in ("orders", "books", "customer_totals", "every_kind"):
        say(f"columns {table}", [(c["name"], str(c["type"]), c["nullable"]) for c in inspector.get_columns(table)])
        keys = [k["name"] for k in inspector.get_foreign_keys(table)]
        say(f"keys {table}", [inspector.get_pk_constraint(table)["constrained_columns"], keys])
    say("names", [sorted(inspector.get_table_names()), sorted(inspector.get_view_names())])
    for level in ("READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"):
        with engine.connect().execution_options(isolation_level=level) as connection:
            rows(level, connection.execute(READS["point"]))
    Base.metadata.drop_all(engine)


async def asynchronous():
    engine = create_async_engine(url("asyncpg"))
    for kind, statement in READS.items():
        before = None
        for n in range(REPETITIONS):
            async with engine.connect() as connection:
                found = [tuple(row) for row in await connection.execute(statement)]
                if found != before:
                    rows(f"{kind} asyncpg", found)
                before = found
                if n == REPETITIONS - 1 and "WEIR_ROUTES" in os.environ:
                    route = (await connection.exec_driver_sql("SHOW weir.last_route")).scalar()
                    note_route(f"{kind} asyncpg", lambda _: route)
            await asyncio.sleep(PAUSE_SECONDS)
    await engine.dispose()


for driver in ("psycopg", "psycopg2", "pg8000"):
    engine = sa.create_engine(url(driver), pool_pre_ping=True)
    reads(engine, driver)
    orm(engine)
    engine.dispose()
asyncio.run(asynchronous())
