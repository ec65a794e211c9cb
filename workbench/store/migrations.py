"""The shape of the database, as numbered steps forward. Leaves out what is in it. No other code creates or alters."""

import duckdb

from workbench.errors import NewerSchema
from workbench.store.failpoint import failpoint

MIGRATIONS = (
    """
    CREATE TABLE judgements (seq BIGINT, uid UUID, ts TIMESTAMPTZ, item BIGINT, annotator VARCHAR, axis VARCHAR,
        purpose VARCHAR, policy VARCHAR, guideline INTEGER, kind VARCHAR, payload VARCHAR, shown_order INTEGER[],
        ms_shown INTEGER, ms_active INTEGER, reason VARCHAR, supersedes UUID, h BLOB);
    CREATE TABLE events (seq BIGINT, uid UUID, ts TIMESTAMPTZ, actor VARCHAR, kind VARCHAR, payload VARCHAR, h BLOB);
    CREATE TABLE items (id BIGINT PRIMARY KEY, project INTEGER, import INTEGER, key VARCHAR, group_id VARCHAR,
        form VARCHAR, n_candidates INTEGER, prompt VARCHAR, candidates VARCHAR, tools VARCHAR, lang VARCHAR,
        tags VARCHAR, origin VARCHAR);
    CREATE TABLE sessions (token_sha VARCHAR, name VARCHAR, created TIMESTAMPTZ, seen TIMESTAMPTZ);

    CREATE VIEW current AS SELECT * FROM judgements
        WHERE kind IN ('pair', 'rank', 'best_worst', 'thumb', 'rating', 'edit')
        AND uid NOT IN (SELECT supersedes FROM judgements WHERE supersedes IS NOT NULL)
        AND uid NOT IN (SELECT TRY_CAST(payload ->> 'of' AS UUID) FROM judgements
            WHERE kind = 'undo' AND TRY_CAST(payload ->> 'of' AS UUID) IS NOT NULL)
        QUALIFY row_number() OVER (
            PARTITION BY item, annotator, axis, purpose, kind = 'edit', payload ->> 'candidate' ORDER BY seq DESC) = 1;

    CREATE VIEW projects AS SELECT (payload ->> 'id')::INTEGER AS id, payload ->> 'name' AS name, payload, seq
        FROM events WHERE kind = 'project'
        QUALIFY row_number() OVER (PARTITION BY payload ->> 'id' ORDER BY seq DESC) = 1;
    CREATE VIEW accounts AS SELECT payload ->> 'name' AS name, payload, seq
        FROM events WHERE kind = 'account'
        QUALIFY row_number() OVER (PARTITION BY payload ->> 'name' ORDER BY seq DESC) = 1;
    CREATE VIEW imports AS SELECT (payload ->> 'id')::INTEGER AS id, (payload ->> 'project')::INTEGER AS project,
        payload, seq FROM events WHERE kind = 'import';
    CREATE VIEW runs AS SELECT (payload ->> 'id')::INTEGER AS id, (payload ->> 'project')::INTEGER AS project,
        payload, seq FROM events WHERE kind = 'run'
        QUALIFY row_number() OVER (PARTITION BY payload ->> 'id' ORDER BY seq DESC) = 1;
    CREATE VIEW snapshots AS SELECT payload ->> 'hash' AS hash, (payload ->> 'project')::INTEGER AS project,
        payload, seq FROM events WHERE kind = 'snapshot';
    """,
)


def version_of(con: duckdb.DuckDBPyConnection) -> int | None:
    """The number of the last step that was taken, none in an empty database."""
    known = con.execute("SELECT count(*) FROM duckdb_tables() WHERE table_name = 'schema_version'").fetchone()[0]
    return con.execute("SELECT max(version) FROM schema_version").fetchone()[0] if known else None


def migrate(con: duckdb.DuckDBPyConnection) -> None:
    """Bring the database to the newest shape, one transaction per step."""
    version = version_of(con) or 0
    if version > len(MIGRATIONS):
        raise NewerSchema(f"the database has schema {version}, this program knows {len(MIGRATIONS)}: update it")
    for number, script in enumerate(MIGRATIONS[version:], version + 1):
        con.execute("BEGIN")
        con.execute("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER, taken TIMESTAMPTZ)")
        con.execute(script)
        con.execute("INSERT INTO schema_version VALUES (?, now())", [number])
        failpoint("before_migration_commit")
        con.execute("COMMIT")
        failpoint("after_migration_commit")
        con.execute("CHECKPOINT")
