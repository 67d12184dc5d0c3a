//! The command that looks again, as a check's entry says it, with what this run was told: else it would look at another
//! configuration, by another profile.

use std::path::Path;

use super::ask::Ask;
use crate::cli::Global;

/// How every such command begins.
const COMMAND: &str = "spotify-mcp security-check ";
/// What entries name where a live server is to be asked.
const EXAMPLE: &str = " --live https://music.example.com";

/// An entry's command for this run; what is another command stays as it is.
pub(super) fn again(verify: &str, ask: &Ask, global: &Global) -> String {
    let Some(rest) = verify.strip_prefix(COMMAND) else { return verify.to_owned() };
    let area = rest.split(' ').next().unwrap_or_default();
    let told = told(area, ask, global);
    let names_server = !ask.address.is_empty() || ask.live.is_some();
    let rest = if area == "network" && names_server { rest.replace(EXAMPLE, "") } else { rest.to_owned() };
    let told: String = told
        .into_iter()
        .filter(|(name, _)| !rest.contains(name))
        .map(
            |(name, value)| {
                if value.is_empty() { format!(" {name}") } else { format!(" {name} {}", word(&value)) }
            },
        )
        .collect();
    format!("{COMMAND}{rest}{told}")
}

/// What changes the judgement in this area, as it was said.
fn told(area: &str, ask: &Ask, global: &Global) -> Vec<(&'static str, String)> {
    let path = |path: &Path| path.display().to_string();
    let file = |name, said: &Option<std::path::PathBuf>| said.as_deref().map(|said| (name, path(said)));
    let mut all = vec![
        file("--config", &global.config),
        file("--env-file", &global.env_file),
        ask.environment.clone().map(|said| ("--environment", said)),
        ask.profile.clone().map(|said| ("--profile", said)),
        file("--policies", &ask.policies),
    ];
    if matches!(area, "deps" | "compliance") {
        all.push(file("--advisory-db", &ask.supply.advisory_db));
        all.push(file("--lockfile", &ask.supply.lockfile));
        all.push(file("--registry-index", &ask.supply.registry_index));
        all.push(file("--release-manifest", &ask.supply.release_manifest));
    }
    if matches!(area, "network" | "compliance") {
        all.push(ask.live.clone().map(|said| ("--live", said)));
        all.extend(ask.address.iter().map(|said| Some(("--address", said.clone()))));
        all.push(file("--ca", &ask.ca));
    }
    if matches!(area, "runtime" | "compliance") {
        all.push(ask.pid.map(|pid| ("--pid", pid.to_string())));
        all.push(file("--system-root", &ask.system_root));
    }
    all.push((ask.offline && area != "network").then(|| ("--offline", String::new())));
    all.into_iter().flatten().collect()
}

/// One word of a shell's command.
fn word(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_./:@%+,=-".contains(&byte);
    if text.bytes().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        ask: Ask,
        #[command(flatten)]
        global: Global,
    }

    fn said(verify: &str, arguments: &[&str]) -> String {
        let line = Line::try_parse_from(std::iter::once(&"x").chain(arguments)).unwrap();
        again(verify, &line.ask, &line.global)
    }

    #[test]
    fn the_same_configuration_and_profile_are_looked_at_again() {
        let told = said(
            "spotify-mcp security-check config --only SMC1003",
            &["--config", "my server.toml", "--profile", "bank", "--offline"],
        );
        let expected = "spotify-mcp security-check config --only SMC1003 --config 'my server.toml' --profile bank --offline";
        assert_eq!(told, expected);
    }

    #[test]
    fn the_server_that_was_asked_stands_in_the_examples_place() {
        let verify = "spotify-mcp security-check network --only SMC4003 --live https://music.example.com";
        assert_eq!(said(verify, &[]), verify);
        let of_address = said(verify, &["--address", "a.example:443"]);
        assert_eq!(of_address, "spotify-mcp security-check network --only SMC4003 --address a.example:443");
        let of_live = said(verify, &["--live", "https://my.example/"]);
        assert_eq!(of_live, "spotify-mcp security-check network --only SMC4003 --live https://my.example/");
    }

    #[test]
    fn other_commands_stay_as_they_are() {
        assert_eq!(said("spotify-mcp audit verify", &["--profile", "bank"]), "spotify-mcp audit verify");
    }
}
