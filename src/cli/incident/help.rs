//! What `--help` says below the options of each playbook: what it does in which order, what it ends, and how it is used.

pub(super) const LIST: &str = "\
Status 1: an incident is not over, or servers are locked down.

Examples:
  spotify-mcp incident list
  spotify-mcp incident list --format json";

pub(super) const AUTHENTICATION: &str = "\
Notes the trail and the keys as they are, ends what is selected, API keys included, on every server within a second, sees \
that nothing of it is good any more, counts what the trail says of the days before, and lists what only people can do. With \
--all, the keys of tickets, pending logins and evidence are replaced too, and \
credentials of each kind, issued for this alone, are ended and tried. One of --user, --client, --issued-before or --all is \
needed; the first three combine.

What Spotify granted cannot be ended from here: the report says who ends it where. --dry-run counts, and ends nothing.

Examples:
  spotify-mcp incident authentication-compromise --user ada --dry-run
  spotify-mcp incident authentication-compromise --user ada --yes
  spotify-mcp incident authentication-compromise --issued-before 2h
  spotify-mcp incident authentication-compromise --all --reason 'public log'";

pub(super) const DEPENDENCY: &str = "\
Notes what is, says which program runs and which versions of --package it was built from, locks servers down with \
--lockdown, and waits: status 3 until the same command is run by another program than the one it began with, and the \
running server is that program too. --accept ends it with this one, and the reason is recorded. What waits keeps no other \
playbook from beginning; 'lift' stays refused where this one locked servers down.

Examples:
  spotify-mcp incident dependency-vulnerability --advisory RUSTSEC-2026-0001
  spotify-mcp incident dependency-vulnerability \\
      --advisory CVE-2026-12345 --package rustls --lockdown --yes";

pub(super) const CONFIGURATION: &str = "\
Names the secrets that the configuration holds (never a value), and does all of 'rotate-keys --emergency': servers issue \
nothing meanwhile, everything that anybody holds ends, every key is replaced, the old master key is tried on every row. \
Where the master key does not lie beside the data, --new-master-key-file says where the new one is or comes; servers \
answer 503 until it is where they have theirs from and 'config reload' was run.

Examples:
  spotify-mcp incident configuration-exposure --dry-run
  spotify-mcp incident configuration-exposure \\
      --new-master-key-file new-master.key --report exposure.md";

pub(super) const NETWORK: &str = "\
Locks every server down, does all of 'rotate-keys --emergency', names the secrets to replace, and says what this server \
listens on and may reach. Servers stay locked down until 'lift'. Where the master key does not lie beside the data, \
--new-master-key-file says where the new one is or comes: give it to every server and run 'config reload' before the lift.

Examples:
  spotify-mcp incident network-breach --dry-run
  spotify-mcp incident network-breach \\
      --new-master-key-file new-master.key --report breach.md --yes
  spotify-mcp incident lift";

pub(super) const LOCKDOWN: &str = "\
One transaction, whatever else is in progress; it needs no master key. Within a second every server of the database \
answers nothing but /livez, /readyz and /health, and breaks off the calls and streams that run; a restart changes nothing. \
What people hold is kept from them, not ended. Afterwards it asks the server at the configured address whether it obeys.

Examples:
  spotify-mcp incident lockdown
  spotify-mcp incident lockdown --reason 'strange calls since 3:10' --yes";

pub(super) const LIFT: &str = "\
Looks first: no incident, emergency or rotation is in progress, the master key at hand is the one in use, the newest \
segment of the trail holds together. What fails keeps the lockdown (status 1), unless --despite says why not. Then servers \
answer again, and the one at the configured address is asked whether it does.

Examples:
  spotify-mcp incident lift --dry-run
  spotify-mcp incident lift --yes
  spotify-mcp incident lift --despite 'the incident is another one' --yes";

pub(super) const REPORT: &str = "\
Writes the report anew from the database to <data_dir>/evidence, and to --report, and shows it. Nothing is changed.

Examples:
  spotify-mcp incident report
  spotify-mcp incident report --report last.json";

pub(super) const ABANDON: &str = "\
What was done stays done, what is not listed as done was not done, and servers that are locked down stay so. The report is \
never complete. For a playbook that was begun by mistake, that nobody can end, or whose record cannot be read.

Examples:
  spotify-mcp incident abandon --reason 'the advisory is withdrawn'";
