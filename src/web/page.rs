//! A rendered page with its status and its class of security headers, so that no handler pairs them wrongly.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};

use super::headers::{self, Class};

/// A page, ready to answer with.
#[derive(Debug)]
pub struct Page {
    /// The whole document.
    pub html: String,
    /// 200 unless the page is a problem.
    pub status: StatusCode,
    /// Which row of [`headers`] applies.
    pub class: Class,
}

impl Page {
    /// Renders into memory. Our templates read plain fields and cannot fail; were one to, the answer is a bare 500.
    pub(super) fn of(template: &impl askama::Template, class: Class) -> Self {
        match template.render() {
            Ok(html) => Self { html, status: StatusCode::OK, class },
            Err(_) => Self {
                html: "<!doctype html><title>Error</title><p>This page could not be shown.".to_owned(),
                status: StatusCode::INTERNAL_SERVER_ERROR,
                class,
            },
        }
    }

    /// The same page with another status.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        let mut response = (self.status, self.html).into_response();
        let kind = HeaderValue::from_static("text/html; charset=utf-8");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        headers::mark(&mut response, self.class);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_answers_as_html_with_the_headers_of_its_class() {
        let page = Page { html: "x".to_owned(), status: StatusCode::NOT_FOUND, class: Class::Consent };
        let response = page.into_response();
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
        assert_eq!(response.headers()["content-type"], "text/html; charset=utf-8");
        assert_eq!(response.headers()["cache-control"], "no-store");
        let csp = response.headers()["content-security-policy"].to_str().unwrap();
        assert!(!csp.contains("form-action"));
    }
}
