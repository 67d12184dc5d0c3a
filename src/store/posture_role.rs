//! What the role of this session may in PostgreSQL beyond its own tables, for `security-check`. Never: what it may in other
//! databases of the same server, or changing anything.

use sqlx::PgPool;

use crate::failure::Failure;

/// What a role may that it does not need.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// What leads beyond its own data, or to the whole server: `superuser`, `ALTER SYSTEM SET archive_command`, ...
    pub grave: Vec<String>,
    /// What shows or hastens, and changes nobody's data: `pg_checkpoint`, ...
    pub slight: Vec<String>,
}

/// PostgreSQL's own roles whose members reach beyond their own tables (PostgreSQL 18, section 21.5).
const POWERFUL: [&str; 8] = [
    "pg_execute_server_program",
    "pg_read_server_files",
    "pg_write_server_files",
    "pg_read_all_data",
    "pg_write_all_data",
    "pg_maintain",
    "pg_signal_backend",
    "pg_create_subscription",
];

/// Those whose members see or hasten what is everybody's.
const WATCHING: [&str; 7] = [
    "pg_checkpoint",
    "pg_monitor",
    "pg_read_all_settings",
    "pg_read_all_stats",
    "pg_signal_autovacuum_worker",
    "pg_stat_scan_tables",
    "pg_use_reserved_connections",
];

/// Parameters with which whoever may set them, in their own session, runs code or passes over what guards data.
const PARAMETERS: [&str; 5] = [
    "allow_system_table_mods",
    "dynamic_library_path",
    "lo_compat_privileges",
    "session_preload_libraries",
    "session_replication_role",
];

/// Functions that read, write or list files of the server's machine, or connect as somebody else.
const FUNCTIONS: [&str; 10] = [
    "dblink_connect_u",
    "lo_export",
    "lo_import",
    "pg_file_rename",
    "pg_file_unlink",
    "pg_file_write",
    "pg_ls_dir",
    "pg_read_binary_file",
    "pg_read_file",
    "pg_stat_file",
];

/// Of one kind of right so many are told.
const TOLD: usize = 5;

type Role = (String, bool, bool, bool, bool, bool, Vec<String>, Vec<i64>);

/// The role's name, and what it may; with every role that it is a member of too, for it may take them on.
pub(super) async fn reach(pool: &PgPool) -> Result<(String, Reach), Failure> {
    let role = "WITH RECURSIVE mine(oid) AS (
            SELECT oid FROM pg_roles WHERE rolname = session_user
            UNION SELECT member.roleid FROM pg_auth_members member JOIN mine ON member.member = mine.oid)
        SELECT session_user::text, bool_or(rolsuper), bool_or(rolcreaterole), bool_or(rolcreatedb),
            bool_or(rolreplication), bool_or(rolbypassrls),
            COALESCE(array_agg(rolname::text) FILTER (WHERE rolname LIKE 'pg\\_%'), '{}'), array_agg(oid::bigint)
        FROM pg_roles JOIN mine USING (oid)";
    let (role, superuser, createrole, createdb, replication, bypassrls, memberships, mine): Role =
        sqlx::query_as(role).fetch_one(pool).await?;
    let attributes = [
        (superuser, "superuser"),
        (createrole, "createrole"),
        (createdb, "createdb"),
        (replication, "replication"),
        (bypassrls, "bypassrls"),
    ];
    let mut reach = Reach::default();
    reach.grave.extend(attributes.iter().filter(|(may, _)| *may).map(|(_, name)| (*name).to_owned()));
    let held = |name: &&&str| memberships.iter().any(|held| held == **name);
    reach.grave.extend(POWERFUL.iter().filter(held).map(|name| (*name).to_owned()));
    reach.slight.extend(WATCHING.iter().filter(held).map(|name| (*name).to_owned()));
    // A superuser may all of it.
    if superuser {
        return Ok((role, reach));
    }
    parameters(pool, &mine, &mut reach).await?;
    let files = sqlx::query_scalar(SERVERS_FILES).bind(&mine).bind(FUNCTIONS.map(str::to_owned).to_vec());
    reach.grave.extend(some(files.fetch_all(pool).await?));
    for sql in [AS_SUPERUSER, LANGUAGES, OTHERS_TABLES] {
        reach.grave.extend(some(sqlx::query_scalar(sql).bind(&mine).fetch_all(pool).await?));
    }
    Ok((role, reach))
}

/// Granted on parameters, from PostgreSQL 15 on.
async fn parameters(pool: &PgPool, mine: &[i64], reach: &mut Reach) -> Result<(), Failure> {
    let version = "SELECT current_setting('server_version_num')::bigint";
    let version: i64 = sqlx::query_scalar(version).fetch_one(pool).await?;
    if version < 150_000 {
        return Ok(());
    }
    let sql = "SELECT parname,
            COALESCE(bool_or(has_parameter_privilege(mine.oid::oid, parname, 'ALTER SYSTEM')), false),
            COALESCE(bool_or(has_parameter_privilege(mine.oid::oid, parname, 'SET')), false)
        FROM pg_parameter_acl, unnest($1::bigint[]) mine(oid) GROUP BY parname ORDER BY parname";
    let found: Vec<(String, bool, bool)> = sqlx::query_as(sql).bind(mine).fetch_all(pool).await?;
    let is_grave = |name: &String| PARAMETERS.contains(&name.as_str());
    let altered =
        found.iter().filter(|(_, alter, _)| *alter).map(|(name, ..)| format!("ALTER SYSTEM SET {name}"));
    reach.grave.extend(some(altered.collect()));
    let (grave, slight): (Vec<_>, Vec<_>) =
        found.into_iter().filter(|(_, alter, set)| *set && !alter).partition(|(name, ..)| is_grave(name));
    let spelled = |all: Vec<(String, bool, bool)>| {
        some(all.into_iter().map(|(name, ..)| format!("SET {name}")).collect())
    };
    reach.grave.extend(spelled(grave));
    reach.slight.extend(spelled(slight));
    Ok(())
}

/// Those of extensions too: it is their owner's rights that matter.
const SERVERS_FILES: &str = "SELECT DISTINCT 'EXECUTE ' || proname::text AS what
    FROM pg_proc JOIN pg_roles owner ON owner.oid = proowner, unnest($1::bigint[]) mine(oid)
    WHERE proname = ANY($2::text[]) AND owner.rolsuper
        AND has_function_privilege(mine.oid::oid, pg_proc.oid, 'EXECUTE')
        AND has_schema_privilege(mine.oid::oid, pronamespace, 'USAGE')
    ORDER BY what";

/// What an extension brings is its makers' to guard.
const AS_SUPERUSER: &str = "SELECT DISTINCT 'EXECUTE ' || pg_proc.oid::regprocedure::text
        || ' with the rights of ' || owner.rolname AS what
    FROM pg_proc JOIN pg_roles owner ON owner.oid = proowner, unnest($1::bigint[]) mine(oid)
    WHERE prosecdef AND owner.rolsuper AND prorettype <> 'event_trigger'::regtype
        AND pronamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
        AND NOT EXISTS (SELECT 1 FROM pg_depend
            WHERE classid = 'pg_proc'::regclass AND objid = pg_proc.oid AND deptype = 'e')
        AND has_function_privilege(mine.oid::oid, pg_proc.oid, 'EXECUTE')
        AND has_schema_privilege(mine.oid::oid, pronamespace, 'USAGE')
    ORDER BY what";

const LANGUAGES: &str = "SELECT DISTINCT 'functions in ' || lanname::text AS what
    FROM pg_language, unnest($1::bigint[]) mine(oid)
    WHERE lanispl AND NOT lanpltrusted
        AND has_language_privilege(mine.oid::oid, pg_language.oid, 'USAGE')
    ORDER BY what";

/// The tables of this program may belong to a role that migrates them; they lie in one schema.
const OTHERS_TABLES: &str = "SELECT DISTINCT concat_ws(', ', VARIADIC ARRAY(
            SELECT right_ FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) right_
            WHERE has_table_privilege(mine.oid::oid, pg_class.oid, right_)))
        || ' on ' || pg_class.oid::regclass::text || ' of ' || owner.rolname AS what
    FROM pg_class JOIN pg_roles owner ON owner.oid = relowner, unnest($1::bigint[]) mine(oid)
    WHERE relkind IN ('r', 'p', 'f', 'v', 'm')
        AND relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
        AND relnamespace::regnamespace::text NOT LIKE 'pg\\_%'
        AND relowner::bigint <> ALL($1::bigint[])
        AND NOT EXISTS (SELECT 1 FROM pg_class ours WHERE ours.oid = to_regclass('_sqlx_migrations')
            AND ours.relowner = pg_class.relowner AND ours.relnamespace = pg_class.relnamespace)
        AND NOT EXISTS (SELECT 1 FROM pg_depend
            WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid AND deptype = 'e')
        AND has_table_privilege(mine.oid::oid, pg_class.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE')
        AND has_schema_privilege(mine.oid::oid, relnamespace, 'USAGE')
    ORDER BY what";

/// The first of them, and how many more there are.
fn some(mut found: Vec<String>) -> Vec<String> {
    if found.len() > TOLD {
        let more = format!("{} more of this kind", found.len() - TOLD);
        found.truncate(TOLD);
        found.push(more);
    }
    found
}
