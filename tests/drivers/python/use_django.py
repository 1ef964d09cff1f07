"""Django: migrations made and applied, ORM, transactions, and stream tables as unmanaged models (psycopg 3)."""

import os
import sys
import time

import django
from django.conf import settings

from common import PAUSE_SECONDS, REPETITIONS, attempt, connection_values, note_route, rows, say, version

version("django", django)
HOST, PORT, USER, PASSWORD, DATABASE = connection_values()
MODELS = '''
from django.contrib.postgres.fields import ArrayField
from django.db import models

class Product(models.Model):
    name = models.CharField(max_length=50, unique=True)
    price = models.DecimalField(max_digits=10, decimal_places=2)
    added = models.DateTimeField(null=True)
    tags = ArrayField(models.TextField(), default=list)
    about = models.JSONField(default=dict)

class Sale(models.Model):
    product = models.ForeignKey(Product, on_delete=models.CASCADE, related_name="sales")
    quantity = models.IntegerField(db_index=True)

class CustomerTotal(models.Model):
    id = models.IntegerField(primary_key=True)
    name = models.TextField()
    country = models.TextField()
    orders = models.BigIntegerField()
    spent = models.DecimalField(max_digits=20, decimal_places=2)
    class Meta:
        managed = False
        db_table = "customer_totals"

class ScratchTotal(models.Model):
    label = models.TextField(primary_key=True)
    rows = models.BigIntegerField()
    class Meta:
        managed = False
        db_table = "scratch_totals"
'''
os.makedirs("shop/migrations", exist_ok=True)
for path, text in {"shop/__init__.py": "", "shop/migrations/__init__.py": "", "shop/models.py": MODELS}.items():
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
sys.path.insert(0, os.getcwd())
settings.configure(
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.postgres", "shop"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "HOST": HOST,
            "PORT": PORT,
            "USER": USER,
            "PASSWORD": PASSWORD,
            "NAME": DATABASE,
            "CONN_MAX_AGE": None,
        }
    },
    USE_TZ=True,
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
)
django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import IntegrityError, connection, models, transaction  # noqa: E402
from shop.models import CustomerTotal, Product, Sale, ScratchTotal  # noqa: E402


def ask(sql):
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0]


call_command("makemigrations", "shop", verbosity=1)
call_command("migrate", verbosity=1)
call_command("showmigrations", "shop")
call_command("sqlmigrate", "shop", "0001")
call_command("inspectdb", "customers", "customer_totals", "kinds")

with transaction.atomic():
    for n in range(20):
        product = Product.objects.create(name=f"product {n}", price=n / 4, tags=["a", f"t{n}"], about={"n": [n, None]})
        Sale.objects.bulk_create([Sale(product=product, quantity=m) for m in range(5)])
    try:
        with transaction.atomic():
            Product.objects.create(name="product 0", price=1)
    except IntegrityError as error:
        say("savepoint", str(error))
sold = Product.objects.annotate(sold=models.Sum("sales__quantity")).order_by("id")
rows("products", sold.values_list("name", "price", "tags", "about", "sold")[:5])
say("iterator", sum(sale.quantity for sale in Sale.objects.iterator(chunk_size=10)))
say("get_or_create", Product.objects.get_or_create(name="product 3", defaults={"price": 1})[1])
say("update", Product.objects.filter(price__gt=2).update(price=models.F("price") + 1))
upserted = [Product(name="product 1", price=9)]
Product.objects.bulk_create(upserted, update_conflicts=True, unique_fields=["name"], update_fields=["price"])
with transaction.atomic():
    rows("locked", Product.objects.select_for_update().filter(name="product 1").values_list("price"))
say("delete", Product.objects.filter(name="product 2").delete())

READS = {
    "point": lambda: CustomerTotal.objects.filter(pk=17).values_list("name", "spent"),
    "in": lambda: CustomerTotal.objects.filter(pk__in=[3, 5, 8]).order_by("pk").values_list("pk", "spent"),
    "top": lambda: CustomerTotal.objects.order_by("-spent", "pk").values_list("pk", "spent")[:5],
    "filter": lambda: CustomerTotal.objects.filter(country="JP", orders__gte=5).order_by("pk").values_list("pk")[:3],
    "contains": lambda: CustomerTotal.objects.filter(name__contains="17").order_by("pk").values_list("pk"),
    "aggregate": lambda: [CustomerTotal.objects.aggregate(models.Count("pk"), models.Sum("spent"), models.Max("orders")).values()],
    "group": lambda: CustomerTotal.objects.values("country").annotate(most=models.Max("spent")).order_by("country").values_list("country", "most"),
    "exists": lambda: [(CustomerTotal.objects.filter(pk=17).exists(),)],
    "count": lambda: [(CustomerTotal.objects.filter(orders__gt=10).count(),)],
}
for atomic in (False, True):
    for kind, read in READS.items():
        name = f"{kind}{' atomic' if atomic else ''}"
        before = None
        for n in range(REPETITIONS):
            if atomic:
                with transaction.atomic():
                    found = [tuple(row) for row in read()]
                    if n == REPETITIONS - 1:
                        note_route(name, ask)
            else:
                found = [tuple(row) for row in read()]
                if n == REPETITIONS - 1:
                    note_route(name, ask)
            if found != before:
                rows(name, found)
            before = found
            time.sleep(PAUSE_SECONDS)
wrong = 0
for n in range(100):
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO scratch VALUES (%s, 'django', 1, NULL)", [60000 + n])
    wrong += ScratchTotal.objects.get(pk="django").rows != n + 1
say("writes not seen", wrong)
call_command("migrate", "shop", "zero", verbosity=1)
call_command("sqlflush")
attempt("gone", Product.objects.count)
