//! The key table as text: `deploy/env.example` and `deploy/configuration.md`. A test holds both files to it.

use super::keys::{KeySpec, Kind, Role};
use super::table::TABLE;
use super::value::expectation;

/// `deploy/env.example`: every setting as a commented line with its meaning.
pub fn env_example() -> String {
    let mut text = String::from(
        "# Environment of spotify-mcp. Generated from the configuration's table of keys: change src/config/table.rs.\n\
         # Every value is optional; what is commented out shows the default. Any secret may come from a file instead:\n\
         # NAME_FILE=/path. Every key also has a generic name: server.port is SPOTIFY_MCP__SERVER__PORT.\n",
    );
    let mut section = "";
    for spec in TABLE.iter().filter(|spec| spec.role == Role::Setting) {
        let own = spec.path.split('.').next().unwrap_or_default();
        if own != section {
            section = own;
            text += &format!("\n# --- {section} ---\n");
        }
        text += &format!("\n# {}\n", spec.doc);
        if let Some(words) = words(spec) {
            text += &format!("# {words}\n");
        }
        let name = spec.env.last().map_or_else(|| spec.generic_env(), |name| (*name).to_owned());
        text += &format!("#{name}={}\n", spec.default.unwrap_or_default());
    }
    text
}

/// `deploy/configuration.md`: key, environment, default, meaning.
pub fn markdown() -> String {
    let mut text = String::from(
        "# Configuration keys\n\n\
         Generated from the configuration's table of keys: change `src/config/table.rs`. Every key also has the\n\
         environment name `SPOTIFY_MCP__SECTION__KEY`; a secret may come from a file through `NAME_FILE`, in the\n\
         configuration file through `key_file`. A change takes effect with `spotify-mcp config reload` (or SIGHUP), or\n\
         needs a restart.\n\n\
         | key | environment | default | change | meaning |\n|---|---|---|---|---|\n",
    );
    for spec in TABLE {
        let env = spec.env.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let default = spec.default.map(|default| format!("`{default}`")).unwrap_or_default();
        let change = match (spec.role, spec.restart) {
            (Role::Unused(_), _) => "no effect",
            (_, true) => "restart",
            (_, false) => "reload",
        };
        let doc = match spec.role {
            Role::Unused(why) => format!("Accepted, and read by nothing: {why}."),
            Role::Setting | Role::Alias(_) => spec.doc.to_owned(),
        };
        let doc = doc.replace('<', "&lt;").replace('|', "\\|");
        text += &format!("| `{}` | {env} | {default} | {change} | {doc} |\n", spec.path);
    }
    text
}

fn words(spec: &KeySpec) -> Option<String> {
    match spec.kind {
        Kind::Choice(_) | Kind::Count(..) | Kind::Span(..) => {
            let words = expectation(spec.kind);
            Some(words.strip_prefix("write ").map_or(words.clone(), |rest| format!("Takes {rest}.")))
        }
        Kind::Text(_) | Kind::Flag | Kind::List(_) | Kind::Command | Kind::Apps | Kind::Clients => None,
    }
}
