use std::sync::LazyLock;

use actix_web::http::header;
use actix_web::{HttpResponse, web};
use rust_embed::RustEmbed;
use sha2::{Digest, Sha256};

use super::error::Problem;

/// The page's files, in the binary.
#[derive(RustEmbed)]
#[folder = "assets/"]
struct Files;

/// The content address of all files together. They stand in one folder named by it, so that a
/// module finds the others beside it without a build step.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut all = Sha256::new();
    for name in Files::iter() {
        let hash = Files::get(&name).map(|file| file.metadata.sha256_hash());
        all.update(name.as_bytes());
        all.update(hash.unwrap_or_default());
    }
    all.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
});

/// The path of the folder of this version's files.
pub fn folder() -> String {
    format!("/assets/{}", *VERSION)
}

/// `GET /assets/{version}/{file}`. Nodes of two versions run side by side in a deploy: asked for
/// under another version, this version's file is better than none, but must not be kept.
pub async fn file(path: web::Path<(String, String)>) -> Result<HttpResponse, Problem> {
    let (version, name) = path.into_inner();
    let file = Files::get(&name).ok_or_else(|| Problem::not_found("There is no such file."))?;
    let caching = match version == *VERSION {
        true => "public, max-age=31536000, immutable",
        false => "no-store",
    };
    let answer = HttpResponse::Ok()
        .content_type(file.metadata.mimetype())
        .insert_header((header::CACHE_CONTROL, caching))
        .body(file.data);
    Ok(answer)
}
