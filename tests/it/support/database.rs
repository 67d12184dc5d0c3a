//! A database for one test, on SQLite and on PostgreSQL, removed when the test ends.
//!
//! PostgreSQL comes from `TEST_POSTGRES_URL` (an administrator's URL, `postgres://postgres@127.0.0.1:5433/postgres`);
//! `scripts/test` starts a throwaway cluster and sets it. Without it the PostgreSQL half of a test says that it was
//! skipped.

use std::io::Write as _;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

use spotify_mcp::store::Store;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, PgPool, SqlitePool};

/// Runs a test on a fresh, open database of each engine.
pub async fn on_both(test: impl AsyncFn(&TestDatabase)) {
    at_both(async |place| test(&TestDatabase::open(place).await).await).await;
}

/// Runs a test with a place for a database of each engine, where nothing is yet.
pub async fn at_both(test: impl AsyncFn(Place)) {
    test(Place::sqlite()).await;
    if let Some(place) = Place::postgres().await {
        test(place).await;
    }
}

/// An open database of one test; derefs to its [`Store`].
pub struct TestDatabase {
    store: Store,
    pub place: Place,
}

impl TestDatabase {
    /// A fresh SQLite database.
    pub async fn sqlite() -> Self {
        Self::open(Place::sqlite()).await
    }

    /// A fresh PostgreSQL database; `None`, said plainly, where there is no server to ask.
    #[allow(dead_code, reason = "for tests that want one engine")]
    pub async fn postgres() -> Option<Self> {
        Some(Self::open(Place::postgres().await?).await)
    }

    async fn open(place: Place) -> Self {
        let store = Store::open(&place.url).await.unwrap();
        Self { store, place }
    }

    /// One more server on the same database.
    pub async fn node(&self) -> Store {
        Store::open(&self.place.url).await.unwrap()
    }

    /// A handle for spawned tasks.
    pub fn store(&self) -> Store {
        self.store.clone()
    }

    /// Past the store, for what only a test may do.
    pub async fn raw(&self) -> Raw {
        self.place.raw().await
    }
}

impl Deref for TestDatabase {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.store
    }
}

/// Where the database of one test is; removed on drop.
pub struct Place {
    /// What `DATABASE_URL` would say.
    pub url: String,
    kind: Kind,
}

enum Kind {
    Sqlite { folder: PathBuf },
    Postgres { administrator: String, name: String },
}

impl Place {
    /// A folder of its own; the file does not exist yet.
    pub fn sqlite() -> Self {
        let folder = std::env::temp_dir().join(format!("spotify-mcp-{}", unique()));
        std::fs::create_dir(&folder).unwrap();
        Self { url: format!("sqlite://{}/store.db", folder.display()), kind: Kind::Sqlite { folder } }
    }

    /// An empty PostgreSQL database; `None`, said plainly, where there is no server to ask.
    pub async fn postgres() -> Option<Self> {
        let Ok(administrator) = std::env::var("TEST_POSTGRES_URL") else {
            say_skipped();
            return None;
        };
        let name = format!("test_{}", unique().replace('-', "_"));
        administer(&administrator, &format!("CREATE DATABASE {name}")).await;
        let mut url = url::Url::parse(&administrator).unwrap();
        url.set_path(&name);
        Some(Self { url: url.into(), kind: Kind::Postgres { administrator, name } })
    }

    pub fn is_postgres(&self) -> bool {
        matches!(self.kind, Kind::Postgres { .. })
    }

    /// The SQLite file.
    pub fn file(&self) -> PathBuf {
        match &self.kind {
            Kind::Sqlite { folder } => folder.join("store.db"),
            Kind::Postgres { .. } => panic!("PostgreSQL has no file"),
        }
    }

    pub async fn raw(&self) -> Raw {
        if self.is_postgres() {
            Raw::Postgres(PgPool::connect(&self.url).await.unwrap())
        } else {
            Raw::Sqlite(SqlitePool::connect(&format!("{}?mode=rwc", self.url)).await.unwrap())
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        match &self.kind {
            Kind::Sqlite { folder } => drop(std::fs::remove_dir_all(folder)),
            Kind::Postgres { administrator, name } => {
                let (administrator, drop) =
                    (administrator.clone(), format!("DROP DATABASE {name} WITH (FORCE)"));
                // Drop is not async, and a runtime cannot be entered twice on one thread.
                let done = std::thread::spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                    runtime.block_on(administer(&administrator, &drop));
                });
                let _ = done.join();
            }
        }
    }
}

/// SQL as one's own database administrator.
pub enum Raw {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

macro_rules! on_raw {
    ($raw:expr, $pool:ident => $body:expr) => {
        match $raw {
            Raw::Sqlite($pool) => $body,
            Raw::Postgres($pool) => $body,
        }
    };
}

impl Raw {
    pub async fn run(&self, sql: &str) {
        on_raw!(self, pool => pool.execute(AssertSqlSafe(sql.to_owned())).await.map(drop)).unwrap();
    }

    pub async fn number(&self, sql: &str) -> i64 {
        on_raw!(self, pool => sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(pool).await)
            .unwrap()
    }

    pub async fn texts(&self, sql: &str) -> Vec<String> {
        on_raw!(self, pool => sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_all(pool).await)
            .unwrap()
    }

    /// Every column as `table.column type`, and every index as its definition without white space.
    pub async fn schema(&self) -> Vec<String> {
        let mut schema: Vec<_> =
            self.columns().await.iter().map(|(t, c, kind)| format!("{t}.{c} {kind}")).collect();
        schema.extend(
            self.texts(match self {
                Self::Sqlite(_) => "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name",
                Self::Postgres(_) => {
                    "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY indexname"
                }
            })
            .await,
        );
        schema
    }

    /// Table, column, type.
    pub async fn columns(&self) -> Vec<(String, String, String)> {
        let sql = match self {
            Self::Sqlite(_) => {
                "SELECT m.name || ' ' || c.name || ' ' || c.type FROM sqlite_master m
                JOIN pragma_table_info(m.name) c WHERE m.type = 'table' ORDER BY 1"
            }
            Self::Postgres(_) => {
                "SELECT (table_name || ' ' || column_name || ' ' || data_type)::text
                FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1"
            }
        };
        let split = |line: String| {
            let mut parts = line.splitn(3, ' ').map(str::to_owned);
            (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap_or_default())
        };
        self.texts(sql).await.into_iter().map(split).collect()
    }

    /// Every value of every table as `table.column=value`, binary ones in hexadecimal.
    pub async fn dump(&self) -> Vec<String> {
        let mut dump = Vec::new();
        for (table, column, kind) in self.columns().await {
            if table.starts_with('_') || table.starts_with("sqlite_") {
                continue;
            }
            let value = match (self, kind.as_str()) {
                (Self::Sqlite(_), "BLOB") => format!("lower(hex({column}))"),
                (Self::Postgres(_), "bytea") => format!("encode({column}, 'hex')"),
                _ => format!("CAST({column} AS TEXT)"),
            };
            let sql = format!("SELECT {value} FROM \"{table}\" WHERE {column} IS NOT NULL");
            dump.extend(self.texts(&sql).await.into_iter().map(|value| format!("{table}.{column}={value}")));
        }
        dump.sort();
        dump
    }
}

async fn administer(url: &str, sql: &str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    connection.execute(AssertSqlSafe(sql.to_owned())).await.unwrap();
}

fn unique() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

fn say_skipped() {
    static ONCE: Once = Once::new();
    // Straight to the stream: what passing tests print is kept from people.
    ONCE.call_once(|| {
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: every PostgreSQL half of the store's tests (TEST_POSTGRES_URL is not set)"
        );
    });
}
