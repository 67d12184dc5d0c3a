//! The paths that pages link and post to: the router mounts these very constants.

/// The landing page.
pub const HOME: &str = "/";
/// GET: the consent page. POST (`ticket`, `csrf`, `decision`): its answer.
pub const AUTHORIZE: &str = "/authorize";
/// GET: log in with Spotify. `?link=<LinkId>` reconnects that linked account; with `?ask` Spotify asks who it is.
pub const LOGIN: &str = "/auth/login";
/// GET: the page for a Spotify app of one's own, without a session. POST (`csrf`, `client_id`, `client_secret`): to Spotify.
pub const OWN_APP: &str = crate::domain::own_app::PAGE;
/// POST (`csrf`): log out.
pub const LOGOUT: &str = "/auth/logout";
/// GET: what this server holds about the person.
pub const ACCOUNT: &str = "/account";
/// GET: the page on which another Spotify account is linked; `?page=<LinkPageId>` is a one-time page that a tool made.
/// POST (`csrf`, `page`, `alias`, `client_id`, `client_secret`): to Spotify.
pub const LINK: &str = crate::domain::own_app::LINK;
/// POST (`csrf`, `link`, `alias`): give a linked account another name.
pub const RENAME: &str = "/account/links/rename";
/// POST (`csrf`, `link`): make a linked account the primary one.
pub const MAKE_PRIMARY: &str = "/account/links/default";
/// POST (`csrf`, `link`): disconnect a Spotify account and delete what came with it.
pub const DISCONNECT: &str = "/account/links/disconnect";
/// POST (`csrf`, `grant`): end what a client was allowed.
pub const REVOKE: &str = "/account/clients/revoke";
/// POST (`csrf`, `client`): forget what was approved for a client, and end all its access.
pub const WITHDRAW: &str = "/account/approvals/withdraw";
/// POST (`csrf`, `session`): end one browser session.
pub const END_SESSION: &str = "/account/sessions/end";
/// POST (`csrf`, `name`, `read`, `write`, `player`, `expires`): make an API key, shown in the answer.
pub const API_KEYS: &str = "/account/api-keys";
/// POST (`csrf`, `key`): end an API key.
pub const REVOKE_KEY: &str = "/account/api-keys/revoke";
/// POST (`csrf`, `session`): end one session of a 2025-era MCP client.
pub const END_MCP_SESSION: &str = "/account/mcp-sessions/end";
/// GET: asks for the typed confirmation. POST (`csrf`, `confirm`): deletes everything about the person.
pub const DELETE: &str = "/account/delete";
/// POST (`csrf`): all that this server holds about the person, as a file.
pub const EXPORT: &str = "/account/export";
/// Assets, `/assets/{file}`.
pub const ASSETS: &str = "/assets";
/// RFC 9116.
pub const SECURITY_TXT: &str = "/.well-known/security.txt";
