//! Renders templates into responses, with the policy of all pages.

use std::sync::LazyLock;

use actix_web::http::header;
use actix_web::{HttpResponse, HttpResponseBuilder};
use askama::Template;
use base64::prelude::{BASE64_STANDARD, Engine};
use sha2::{Digest, Sha256};

/// Allows nothing from other origins and nothing inline but one script, by its hash, so that a message that got into the
/// markup could not run anything.
static CONTENT_SECURITY_POLICY: LazyLock<String> = LazyLock::new(|| {
    let theme = BASE64_STANDARD.encode(Sha256::digest(ThemeScript.render().unwrap_or_default()));
    format!(
        "default-src 'none'; script-src 'self' 'sha256-{theme}'; style-src 'self'; img-src 'self'; connect-src 'self'; \
         manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    )
});

/// The script that all pages contain.
#[derive(Template)]
#[template(path = "theme.js", escape = "html")]
struct ThemeScript;

/// Renders a page into a response.
pub(super) fn render(mut response: HttpResponseBuilder, page: &impl Template) -> HttpResponse {
    match page.render() {
        Ok(html) => response
            .content_type("text/html; charset=utf-8")
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .insert_header((header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY.as_str()))
            .body(html),
        Err(error) => {
            tracing::error!(%error, "failed to render a page");
            HttpResponse::InternalServerError().finish()
        }
    }
}
