// pgjdbc: server-side preparation, binary transfer, fetch size, batches, generated keys, COPY, large objects, cancel; every
// kind of read by each query mode, with and without autocommit.

import java.io.*;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.sql.*;
import java.util.*;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;
import org.postgresql.copy.CopyManager;
import org.postgresql.largeobject.*;

public class UseJdbc {
    static final int REPETITIONS = 12;

    static final Object[][] READS = {
        {"point", "SELECT name, orders, spent FROM customer_totals WHERE id = ?", 17},
        {"any", "SELECT id, spent FROM customer_totals WHERE id = ANY(?) ORDER BY id", new Integer[] {3, 5, 8}},
        {"in", "SELECT id, spent FROM customer_totals WHERE id IN (?, ?, ?) ORDER BY id", 3, 5, 8},
        {"top", "SELECT id, name, spent FROM customer_totals ORDER BY spent DESC, id LIMIT 5"},
        {"limit", "SELECT id, spent FROM customer_totals ORDER BY id LIMIT ? OFFSET ?", 5, 10},
        {"join", "SELECT t.id, t.spent, c.spent FROM customer_totals t JOIN country_totals c ON c.country = t.country"
            + " WHERE t.id < ? ORDER BY t.id", 5},
        {"aggregate", "SELECT count(*), sum(spent), max(latest) FROM customer_totals"},
        {"group", "SELECT country, max(spent) FROM customer_totals GROUP BY country ORDER BY country"},
        {"text", "SELECT id, spent FROM customer_totals WHERE country = ? ORDER BY id LIMIT 3", "JP"},
        {"range", "SELECT count(*), sum(amount) FROM order_lines WHERE placed >= ?", Timestamp.valueOf("2024-01-20 00:00:00")},
        {"kinds", "SELECT * FROM every_kind ORDER BY id"},
    };

    interface Work {
        Object run() throws Exception;
    }

    static void say(String label, Object value) {
        System.out.println(label + ": " + show(value));
    }

    static String show(Object value) {
        if (value instanceof byte[] bytes) return "bytes " + HexFormat.of().formatHex(bytes);
        if (value instanceof Object[] items) return Arrays.stream(items).map(UseJdbc::show).toList().toString();
        return String.valueOf(value);
    }

    static void attempt(String label, Work work) {
        try {
            say(label, work.run());
        } catch (SQLException error) {
            say(label, error.getClass().getSimpleName() + " " + error.getSQLState() + " " + error.getMessage());
        } catch (Exception error) {
            say(label, error);
        }
    }

    static Connection connect(String options) throws SQLException {
        Map<String, String> env = System.getenv();
        return DriverManager.getConnection("jdbc:postgresql://" + env.get("PGHOST") + ":" + env.get("PGPORT") + "/" + env.get("PGDATABASE")
            + "?user=" + env.get("PGUSER") + "&password=" + env.get("PGPASSWORD") + "&" + options);
    }

    static String rows(ResultSet found) throws SQLException {
        ResultSetMetaData columns = found.getMetaData();
        StringBuilder out = new StringBuilder();
        while (found.next()) {
            out.append('(');
            for (int n = 1; n <= columns.getColumnCount(); n++) {
                Object value;
                try {
                    value = found.getObject(n);
                    if (value instanceof java.sql.Array array) value = array.getArray();
                } catch (SQLException error) {
                    value = error.getMessage();
                }
                out.append(n > 1 ? ", " : "").append(show(value)).append('|').append(value instanceof byte[] ? "" : found.getString(n));
            }
            out.append(") ");
        }
        return out.toString();
    }

    static String query(Connection connection, String sql) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            return rows(statement.executeQuery(sql));
        }
    }

    static void bind(PreparedStatement statement, Object[] values) throws SQLException {
        for (int n = 0; n < values.length; n++) {
            if (values[n] instanceof Integer[] items) {
                statement.setArray(n + 1, statement.getConnection().createArrayOf("int4", items));
            } else {
                statement.setObject(n + 1, values[n]);
            }
        }
    }

    static void noteRoute(Connection connection, String kind) throws Exception {
        String path = System.getenv("WEIR_ROUTES");
        if (path == null) return;
        String route;
        try (Statement statement = connection.createStatement(); ResultSet found = statement.executeQuery("SHOW weir.last_route")) {
            found.next();
            route = found.getString(1);
        } catch (SQLException error) {
            // Sent together with something else, the question is forwarded, too, and Postgres does not know it.
            route = "forwarded: with a question that was forwarded";
            if (!connection.getAutoCommit()) connection.rollback();
        }
        Files.writeString(Path.of(path), kind + "\t" + route + "\n", StandardOpenOption.APPEND);
    }

    // One statement object, executed again and again: pgjdbc names it on the server from the fifth execution on.
    static void repeated(Connection connection, String kind, String sql, Object[] values, int fetchSize) throws Exception {
        String before = null;
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            statement.setFetchSize(fetchSize);
            for (int n = 0; n < REPETITIONS; n++) {
                bind(statement, values);
                String found = rows(statement.executeQuery());
                if (!found.equals(before)) say(kind, found);
                before = found;
                if (n == REPETITIONS - 1) noteRoute(connection, kind);
                if (!connection.getAutoCommit()) connection.commit();
                Thread.sleep(10);
            }
        }
    }

    static void reads(String mode, String options) throws Exception {
        for (boolean autocommit : new boolean[] {true, false}) {
            try (Connection connection = connect(options)) {
                connection.setAutoCommit(autocommit);
                for (Object[] read : READS) {
                    Object[] values = Arrays.copyOfRange(read, 2, read.length);
                    repeated(connection, read[0] + " " + mode + (autocommit ? "" : " without autocommit"), (String) read[1], values, 0);
                }
                if (!autocommit) repeated(connection, "fetch size " + mode, "SELECT id, spent FROM customer_totals ORDER BY id", new Object[0], 50);
            }
        }
    }

    static void types(Connection connection) throws Exception {
        for (String table : new String[] {"kinds", "every_kind", "extremes", "every_extreme", "documents", "every_document"}) {
            try (PreparedStatement statement = connection.prepareStatement("SELECT * FROM " + table + " WHERE id = ?")) {
                for (int n = 0; n < 8; n++) {
                    for (int id = 1; id <= 5; id++) {
                        final int wanted = id;
                        attempt(table, () -> {
                            statement.setInt(1, wanted);
                            return rows(statement.executeQuery());
                        });
                    }
                }
            }
        }
        try (PreparedStatement statement = connection.prepareStatement(
                "SELECT ?::int, ?::bigint, ?::numeric, ?::float8, ?::text, ?::bytea, ?::date, ?::timestamp, ?::boolean, ?::uuid, ?::text[]")) {
            for (int n = 0; n < 8; n++) {
                Object[] values = {n, 1L << 62, new BigDecimal("1.50"), Double.NEGATIVE_INFINITY, "größe", new byte[] {0, -1},
                    java.sql.Date.valueOf("2024-02-29"), Timestamp.valueOf("2024-02-29 01:02:03"), true, new UUID(0, 5)};
                bind(statement, values);
                statement.setArray(11, connection.createArrayOf("text", new String[] {"a,b", null, "\"q\""}));
                say("echo", rows(statement.executeQuery()));
            }
        }
        ResultSetMetaData columns = connection.prepareStatement("SELECT * FROM customer_totals WHERE id = ?").getMetaData();
        for (int n = 1; n <= columns.getColumnCount(); n++) {
            say("column", columns.getColumnName(n) + " " + columns.getColumnTypeName(n) + " " + columns.getPrecision(n) + " "
                + columns.getScale(n) + " " + columns.getTableName(n) + " " + columns.isNullable(n));
        }
        say("tables", rows(connection.getMetaData().getTables(null, "public", "%", new String[] {"TABLE", "VIEW"})));
        say("columns", rows(connection.getMetaData().getColumns(null, "public", "customer_totals", "%")));
    }

    static void transactions(Connection connection) throws Exception {
        connection.setAutoCommit(false);
        try (Statement statement = connection.createStatement()) {
            statement.executeUpdate("INSERT INTO scratch VALUES (1, 'a', 1.5, NULL)");
            Savepoint one = connection.setSavepoint("one");
            attempt("unique", () -> statement.executeUpdate("INSERT INTO scratch VALUES (1, 'b', 1, NULL)"));
            attempt("failed block", () -> rows(statement.executeQuery("SELECT 1")));
            connection.rollback(one);
            say("own writes", rows(statement.executeQuery("SELECT * FROM scratch_totals")));
            connection.commit();
        }
        for (int level : new int[] {Connection.TRANSACTION_READ_COMMITTED, Connection.TRANSACTION_REPEATABLE_READ, Connection.TRANSACTION_SERIALIZABLE}) {
            connection.setTransactionIsolation(level);
            say("isolation", query(connection, "SHOW transaction_isolation"));
            say("isolation", query(connection, "SELECT spent FROM customer_totals WHERE id = 17"));
            connection.commit();
        }
        connection.setTransactionIsolation(Connection.TRANSACTION_READ_COMMITTED);
        connection.setReadOnly(true);
        attempt("read only", () -> query(connection, "SELECT spent FROM customer_totals WHERE id = 17"));
        attempt("read only", () -> connection.createStatement().executeUpdate("INSERT INTO scratch VALUES (2)"));
        connection.rollback();
        connection.setReadOnly(false);
        connection.setAutoCommit(true);
    }

    static void batches(Connection connection) throws Exception {
        try (PreparedStatement statement = connection.prepareStatement("INSERT INTO scratch VALUES (?, ?, ?, NULL)")) {
            for (int n = 0; n < 300; n++) {
                bind(statement, new Object[] {100 + n, "l" + n % 3, new BigDecimal(n)});
                statement.addBatch();
            }
            say("batch", Arrays.stream(statement.executeBatch()).sum());
            for (int id : new int[] {900, 100, 901}) {
                bind(statement, new Object[] {id, "fails", new BigDecimal(1)});
                statement.addBatch();
            }
            attempt("batch fails", () -> Arrays.toString(statement.executeBatch()));
        }
        try (Statement statement = connection.createStatement()) {
            statement.addBatch("INSERT INTO scratch VALUES (910, 'mixed', 1, NULL)");
            statement.addBatch("UPDATE scratch SET value = 2 WHERE label = 'mixed'");
            say("mixed batch", Arrays.toString(statement.executeBatch()));
            statement.executeUpdate("INSERT INTO orders (customer_id, amount, quantity, placed) VALUES (1, 1, 1, '2024-06-01')", Statement.RETURN_GENERATED_KEYS);
            say("generated keys", rows(statement.getGeneratedKeys()).length() > 0);
            boolean more = statement.execute("SELECT 1; SELECT spent FROM customer_totals WHERE id = 17; UPDATE scratch SET value = 3 WHERE id = 910");
            while (more || statement.getUpdateCount() != -1) {
                say("several", more ? rows(statement.getResultSet()) : statement.getUpdateCount());
                more = statement.getMoreResults();
            }
            attempt("several, one fails", () -> statement.execute("INSERT INTO scratch VALUES (800); SELECT 1/0"));
            statement.setMaxRows(3);
            for (int n = 0; n < REPETITIONS; n++) say("max rows", rows(statement.executeQuery("SELECT id FROM customer_totals ORDER BY id")));
            noteRoute(connection, "max rows");
        }
        say("batches", query(connection, "SELECT * FROM scratch_totals ORDER BY label"));
    }

    static void copies(Connection connection) throws Exception {
        CopyManager manager = connection.unwrap(PGConnection.class).getCopyAPI();
        StringBuilder lines = new StringBuilder();
        for (int n = 0; n < 5000; n++) lines.append(1000 + n).append("\tcopy ").append(n % 5).append('\t').append(n).append("\t\\N\n");
        say("copied in", manager.copyIn("COPY scratch FROM STDIN", new StringReader(lines.toString())));
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        say("copied out", manager.copyOut("COPY (SELECT id, spent FROM customer_totals ORDER BY id LIMIT 5) TO STDOUT", out));
        say("copied out", out.toString(StandardCharsets.UTF_8));
        attempt("copy fails", () -> manager.copyIn("COPY scratch FROM STDIN", new StringReader("not a number\n")));
        say("copied", query(connection, "SELECT * FROM scratch_totals ORDER BY label"));
    }

    static void largeObjects(Connection connection) throws Exception {
        connection.setAutoCommit(false);
        LargeObjectManager manager = connection.unwrap(PGConnection.class).getLargeObjectAPI();
        long oid = manager.createLO();
        try (LargeObject object = manager.open(oid, LargeObjectManager.READWRITE)) {
            object.write(new byte[100000]);
            object.seek(99990);
            say("large object", object.read(100).length + " of " + object.size64());
        }
        manager.delete(oid);
        connection.commit();
        connection.setAutoCommit(true);
    }

    static void messages(Connection connection) throws Exception {
        try (Statement statement = connection.createStatement()) {
            statement.execute("DO $$ BEGIN RAISE NOTICE 'hello'; RAISE WARNING 'careful'; END $$");
            for (SQLWarning warning = statement.getWarnings(); warning != null; warning = warning.getNextWarning()) say("notice", warning.getMessage());
            statement.execute("LISTEN news");
            try (Connection other = connect(""); Statement speaker = other.createStatement()) {
                for (int n = 0; n < 3; n++) speaker.execute("NOTIFY news, 'message " + n + "'");
            }
            List<String> heard = new ArrayList<>();
            while (heard.size() < 3) {
                for (PGNotification n : connection.unwrap(PGConnection.class).getNotifications(5000)) heard.add(n.getName() + " " + n.getParameter());
            }
            say("notified", heard);
            Thread timer = new Thread(() -> {
                try {
                    Thread.sleep(300);
                    statement.cancel();
                } catch (Exception error) {
                    say("timer", error);
                }
            });
            timer.start();
            attempt("cancel", () -> statement.executeQuery("SELECT pg_sleep(30)"));
            timer.join();
            statement.setQueryTimeout(1);
            attempt("timeout", () -> statement.executeQuery("SELECT pg_sleep(30)"));
        }
        say("after it", query(connection, "SELECT spent FROM customer_totals WHERE id = 17"));
        say("valid", connection.isValid(2));
        say("big", query(connection, "SELECT repeat('x', 1000) FROM generate_series(1, 20000)").length());
    }

    static void ownWrites(Connection connection) throws Exception {
        int wrong = 0;
        try (PreparedStatement insert = connection.prepareStatement("INSERT INTO scratch VALUES (?, 'mine', 1, NULL)");
             PreparedStatement read = connection.prepareStatement("SELECT rows FROM scratch_totals WHERE label = ?")) {
            for (int n = 0; n < 200; n++) {
                insert.setInt(1, 30000 + n);
                insert.executeUpdate();
                read.setString(1, "mine");
                try (ResultSet found = read.executeQuery()) {
                    if (!found.next() || found.getLong(1) != n + 1) wrong++;
                }
            }
        }
        say("writes not seen", wrong);
        noteRoute(connection, "after own insert");
    }

    public static void main(String[] arguments) throws Exception {
        TimeZone.setDefault(TimeZone.getTimeZone("UTC"));
        System.out.println("pgjdbc " + org.postgresql.util.DriverInfo.DRIVER_VERSION);
        reads("extended", "");
        reads("binary", "prepareThreshold=-1");
        reads("never prepared", "prepareThreshold=0");
        reads("simple", "preferQueryMode=simple");
        reads("cached everything", "preferQueryMode=extendedCacheEverything");
        for (String options : new String[] {"", "prepareThreshold=-1", "preferQueryMode=simple", "binaryTransfer=false"}) {
            try (Connection connection = connect(options)) {
                attempt(options, () -> {
                    types(connection);
                    return "types";
                });
            }
        }
        try (Connection connection = connect("autosave=always")) {
            transactions(connection);
        }
        try (Connection connection = connect("")) {
            transactions2(connection);
            batches(connection);
            copies(connection);
            largeObjects(connection);
            messages(connection);
            ownWrites(connection);
        }
    }

    // The same without the driver's own savepoints.
    static void transactions2(Connection connection) throws Exception {
        try (Statement statement = connection.createStatement()) {
            statement.executeUpdate("DELETE FROM scratch");
        }
        transactions(connection);
    }
}
