//! What is under `deploy/` and the Dockerfile keep the rules of their kind, on machines where no engine runs them.

use std::fs;
use std::path::Path;
use std::process::Command;

const VERSION: &str = env!("CARGO_PKG_VERSION");

#[test]
fn the_image_is_pinned_small_unprivileged_and_asks_its_own_binary() {
    let instructions = dockerfile();
    let of = |name: &str| -> Vec<&str> {
        let prefix = format!("{name} ");
        instructions.iter().filter_map(|line| line.strip_prefix(&prefix)).collect()
    };
    for image in of("FROM") {
        let name = image.split(' ').next().unwrap();
        let tag = name.rsplit_once(':').map(|(_, tag)| tag);
        assert!(tag.is_some_and(|tag| tag != "latest"), "{image}: pin the tag");
        assert!(name.contains('.') && name.contains('/'), "{image}: name the registry");
    }
    let minimum = env!("CARGO_PKG_RUST_VERSION");
    let rust = of("FROM")[0].split_once("rust:").unwrap().1.split('-').next().unwrap();
    assert!(version(rust) >= version(minimum), "the image builds with {rust}, the crate needs {minimum}");
    assert!(of("ADD").is_empty(), "ADD fetches and unpacks: use COPY");
    assert!(
        of("RUN").iter().any(|run| run.contains("cargo build --release --locked")),
        "build what was locked"
    );
    for run in of("RUN") {
        assert!(!run.contains("curl") && !run.contains("wget") && !run.contains("sudo"), "{run}");
    }
    for form in ["ENTRYPOINT", "CMD"] {
        assert!(of(form).iter().all(|line| line.starts_with('[')), "{form}: a shell would swallow SIGTERM");
    }
    let check = of("HEALTHCHECK")[0];
    assert!(check.contains("CMD [") && check.contains("\"healthcheck\""), "{check}");

    let last = instructions.iter().rposition(|line| line.starts_with("FROM ")).unwrap();
    let (build, image) = instructions.split_at(last);
    assert!(build.iter().any(|line| line == "COPY . ."));
    assert!(image.iter().all(|line| !line.starts_with("RUN ")), "the last stage has no shell");
    assert!(image.iter().all(|line| !line.starts_with("COPY ") || line.contains("--from=build")));
    let user = image.iter().find_map(|line| line.strip_prefix("USER ")).unwrap();
    let (uid, gid) = user.split_once(':').unwrap();
    assert!(
        uid.parse::<u32>().unwrap() > 0 && gid.parse::<u32>().unwrap() > 0,
        "runAsNonRoot wants a number"
    );
    for word in ["SECRET", "PASSWORD", "MASTER_KEY", "TOKEN"] {
        let named = of("ENV").into_iter().chain(of("ARG")).find(|line| line.contains(word));
        assert_eq!(named, None, "secrets do not belong into layers");
    }
}

#[test]
fn secrets_and_build_products_stay_out_of_the_build_context() {
    let ignored = read(".dockerignore");
    for pattern in [".git", "target", "secrets", "**/*.key", "**/*.pem", "**/*.db", "**/.env*"] {
        assert!(ignored.lines().any(|line| line == pattern), "{pattern}");
    }
}

#[test]
fn the_yaml_files_are_well_formed_as_far_as_text_tells() {
    for file in ["kubernetes.yaml", "compose.yaml", "compose.postgres.yaml", "render.yaml"] {
        let text = read(&format!("deploy/{file}"));
        let mut depth = 0;
        for (at, line) in text.lines().enumerate() {
            let place = format!("deploy/{file}:{}", at + 1);
            assert!(!line.contains('\t') && line.trim_end() == line, "{place}: tabs or trailing space");
            let body = line.trim_start();
            if body.is_empty() || body.starts_with('#') || body == "---" {
                continue;
            }
            let indent = line.len() - body.len();
            assert!(indent.is_multiple_of(2) && indent <= depth + 4, "{place}: indentation");
            depth = indent;
            let is_entry = body.starts_with("- ") || body.contains(": ") || body.ends_with(':');
            assert!(is_entry, "{place}: neither a key nor an item");
            assert_eq!(body.matches('[').count(), body.matches(']').count(), "{place}: brackets");
            assert!(body.matches('"').count().is_multiple_of(2), "{place}: quotes");
        }
        // A secret arrives as a file, never as a value in a manifest.
        for (key, _) in text.lines().filter_map(|line| line.trim().split_once(": ")) {
            let secret =
                ["SECRET", "PASSWORD", "MASTER_KEY", "DATABASE_URL"].iter().any(|word| key.contains(word));
            assert!(!secret || key.ends_with("_FILE"), "deploy/{file}: {key}");
        }
    }
}

#[test]
fn the_kubernetes_manifest_meets_the_restricted_profile() {
    let text = read("deploy/kubernetes.yaml");
    for line in [
        "pod-security.kubernetes.io/enforce: restricted",
        "runAsNonRoot: true",
        "runAsUser: 65532",
        "allowPrivilegeEscalation: false",
        "readOnlyRootFilesystem: true",
        "drop: [ALL]",
        "type: RuntimeDefault",
        "automountServiceAccountToken: false",
        "kind: NetworkPolicy",
        "policyTypes: [Ingress, Egress]",
        "path: /livez",
        "path: /readyz",
        "defaultMode: 0440",
    ] {
        assert!(text.lines().any(|have| have.trim().trim_start_matches("- ") == line), "{line}");
    }
    for never in ["hostNetwork", "hostPath", "privileged: true", "kind: Secret", "secretKeyRef", ":latest\n"]
    {
        assert!(!text.contains(never), "{never}");
    }
    assert!(
        text.contains(&format!("image: ghcr.io/spotify-mcp/spotify-mcp:{VERSION}\n")),
        "the crate's version"
    );
}

#[test]
fn compose_and_render_publish_nothing_that_should_stay_inside() {
    let compose = read("deploy/compose.yaml");
    for line in ["read_only: true", "- ALL", "- no-new-privileges:true", "- \"127.0.0.1:8000:8000\""] {
        assert!(compose.lines().any(|have| have.trim() == line), "{line}");
    }
    assert!(compose.contains(&format!("image: spotify-mcp:{VERSION}\n")), "the crate's version");
    let postgres = read("deploy/compose.postgres.yaml");
    assert!(
        postgres.contains("internal: true") && !postgres.contains("ports:"),
        "the database has no way out"
    );

    let render = read("deploy/render.yaml");
    assert!(render.contains("ipAllowList: []"), "the database is private");
    for key in ["SPOTIFY_CLIENT_SECRET", "SPOTIFY_MCP_MASTER_KEY", "DATABASE_URL"] {
        let after = render.split_once(&format!("- key: {key}\n")).unwrap().1.trim_start();
        let filled = ["sync: false", "generateValue: true", "fromDatabase:"];
        assert!(filled.iter().any(|how| after.starts_with(how)), "{key} must not be written down");
    }
}

#[test]
fn the_systemd_unit_is_hardened_and_valid() {
    let unit = read("deploy/spotify-mcp.service");
    for line in [
        "LoadCredential=master-key:/etc/spotify-mcp/master.key",
        "DynamicUser=yes",
        "ProtectSystem=strict",
        "NoNewPrivileges=yes",
        "CapabilityBoundingSet=",
        "MemoryDenyWriteExecute=yes",
        "LimitCORE=0",
        "SystemCallFilter=@system-service",
        "UMask=0077",
    ] {
        assert!(unit.lines().any(|have| have == line), "{line}");
    }
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        eprintln!("skipped: systemd-analyze is not installed, the unit was checked by its text alone");
        return;
    }
    // The binary need not be installed here: any executable takes its place.
    let folder = std::env::temp_dir().join(format!("spotify-mcp-unit-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join("spotify-mcp.service");
    fs::write(&path, unit.replace("/usr/local/bin/spotify-mcp", "/bin/true")).unwrap();
    let verified = Command::new("systemd-analyze").arg("verify").arg(&path).output().unwrap();
    let exposure = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--threshold=15", "--no-pager"])
        .arg(&path)
        .output()
        .unwrap();
    fs::remove_dir_all(&folder).unwrap();
    let complaints = String::from_utf8_lossy(&verified.stderr).into_owned();
    assert!(verified.status.success() && !complaints.contains("spotify-mcp.service:"), "{complaints}");
    assert!(exposure.status.success(), "exposure above 1.5:\n{}", String::from_utf8_lossy(&exposure.stdout));
}

#[test]
fn continuous_integration_runs_what_people_run() {
    let run = read(".ci/run");
    let commands: Vec<_> = run
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#') && !line.starts_with("set "))
        .collect();
    assert_eq!(commands, ["exec \"$(dirname \"$0\")/../scripts/test\""]);
}

/// The instructions of the Dockerfile, continued lines joined, comments left out.
fn dockerfile() -> Vec<String> {
    let text = read("Dockerfile");
    let lines: Vec<_> = text.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
    let joined = lines.join("\n").replace("\\\n", " ");
    joined
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|line| !line.is_empty())
        .collect()
}

fn version(text: &str) -> Vec<u32> {
    text.split('.').map(|part| part.parse().unwrap()).collect()
}

fn read(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
