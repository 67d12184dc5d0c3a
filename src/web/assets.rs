//! The stylesheet, the copy-button script and the icon, embedded; each name carries the hash of its content, so
//! browsers may keep them for ever and a changed one is a new address.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use sha2::{Digest, Sha256};

use super::headers::{self, Class};
use super::routes;

/// One embedded file.
#[derive(Debug)]
pub struct Asset {
    path: String,
    content_type: &'static str,
    body: &'static str,
}

impl Asset {
    fn new(stem: &str, extension: &str, content_type: &'static str, body: &'static str) -> Self {
        let hash: String = Sha256::digest(body).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Self { path: format!("{}/{stem}-{hash}.{extension}", routes::ASSETS), content_type, body }
    }

    /// Its address on this server, hash included.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Its content.
    pub fn body(&self) -> &'static str {
        self.body
    }
}

static ALL: LazyLock<[Asset; 3]> = LazyLock::new(|| {
    [
        Asset::new("site", "css", "text/css; charset=utf-8", include_str!("assets/site.css")),
        Asset::new("copy", "js", "text/javascript; charset=utf-8", include_str!("assets/copy.js")),
        Asset::new("icon", "svg", "image/svg+xml", include_str!("assets/icon.svg")),
    ]
});

/// Every asset.
pub fn all() -> &'static [Asset] {
    ALL.as_slice()
}

pub(super) fn style() -> &'static Asset {
    &ALL[0]
}

pub(super) fn script() -> &'static Asset {
    &ALL[1]
}

pub(super) fn icon() -> &'static Asset {
    &ALL[2]
}

/// Handler of `GET /assets/{file}`.
pub async fn serve(Path(file): Path<String>) -> Response {
    let wanted = format!("{}/{file}", routes::ASSETS);
    let Some(asset) = ALL.iter().find(|asset| asset.path == wanted) else {
        let mut missing = StatusCode::NOT_FOUND.into_response();
        headers::mark(&mut missing, Class::Json);
        return missing;
    };
    let mut response = asset.body.into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.content_type));
    headers::mark(&mut response, Class::Asset);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_asset_is_served_under_its_hash_for_ever() {
        for asset in all() {
            let file = asset.path().strip_prefix("/assets/").unwrap().to_owned();
            let response = serve(Path(file)).await;
            assert_eq!(response.status(), StatusCode::OK);
            assert_eq!(response.headers()["cache-control"], "public, max-age=31536000, immutable");
        }
    }

    #[tokio::test]
    async fn another_hash_is_not_found_and_not_kept() {
        let response = serve(Path("site-0000000000000000.css".to_owned())).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
        assert_eq!(response.headers()["cache-control"], "no-store");
    }

    #[test]
    fn assets_reach_for_nothing_outside() {
        for asset in all() {
            let body = asset.body().replace("http://www.w3.org/2000/svg", "");
            assert!(!body.contains("://") && !body.contains("@import") && !body.contains("url("));
        }
    }
}
