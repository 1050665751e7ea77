//! The scripts, style sheets and images of the pages, from the binary, and the scripts that pages of other sites load.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{LazyLock, Once, OnceLock};
use std::thread;

use actix_web::http::header::{self, ContentEncoding, ETag, EntityTag, Header, IfNoneMatch};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use rust_embed::{EmbeddedFile, RustEmbed};
use sha2::{Digest, Sha256};

use super::compression::{self, Effort};
use super::documented::NotFound;
use super::error::Problem;
use super::negotiation::content_coding;

// What `build/` made of the files of `assets/`, embedded at compile time: `struct EmbeddedFiles`; those of the chat page are
// compressed as well, as small as possible: `EmbeddedGzip`, `EmbeddedBrotli`.
include!(concat!(env!("OUT_DIR"), "/embedded_files.rs"));

/// A file, and the forms in which it is served. Each is made when it is needed, since most nodes never serve most files.
struct Asset {
    file: EmbeddedFile,
    gzip: OnceLock<Bytes>,
    /// Made by a thread of its own, since it takes long.
    brotli: OnceLock<Bytes>,
}

/// The assets by file name.
static ASSETS: LazyLock<BTreeMap<Cow<'static, str>, Asset>> = LazyLock::new(|| {
    let assets =
        EmbeddedFiles::iter().filter_map(|name| Some((name.clone(), Asset::new(&name, EmbeddedFiles::get(&name)?))));
    assets.collect()
});

/// A hash of all files together. It names the folder of all of them, so that modules can import each other by relative paths.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut all = Sha256::new();
    for (name, asset) in ASSETS.iter() {
        all.update(name.as_bytes());
        all.update(asset.file.metadata.sha256_hash());
    }
    all.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
});

/// Returns the path of the folder of this version's files.
pub(super) fn folder() -> String {
    format!("/assets/{}", *VERSION)
}

/// Handles `GET /assets/{version}/{file}`, where a file may be in a folder. Under another version this version's file is served,
/// since nodes of two versions run side by side during a deployment.
#[utoipa::path(
    get, path = "/assets/{version}/{file}", operation_id = "getAsset", tag = "pages", summary = "A file of the pages",
    params(
        ("version" = String, Path, description = "The hash of a version; under that of another one, this version's file is not cached"),
        ("file" = String, Path, description = "Its name, which may have slashes", example = "page.css"),
    ),
    responses((status = 200, description = "The file", content_type = "*/*", body = Vec<u8>), NotFound),
)]
pub(super) async fn file(req: HttpRequest, path: web::Path<(String, String)>) -> Result<HttpResponse, Problem> {
    let (version, name) = path.into_inner();
    let asset = named(&name)?;
    let cache_control = if version == *VERSION {
        "public, max-age=31536000, immutable"
    } else {
        "no-store" // the content may not be what the other version's hash stands for
    };
    let coding = content_coding(&req);
    let mut response = HttpResponse::Ok()
        .content_type(asset.file.metadata.mimetype())
        .insert_header((header::CACHE_CONTROL, cache_control))
        .body(asset.encoded(coding));
    compression::set_coding(response.headers_mut(), coding);
    Ok(response)
}

/// Returns a script at an address of its own, which is the same for all versions: clients ask each time whether it has
/// changed.
pub(super) fn script(req: &HttpRequest, name: &str) -> Result<HttpResponse, Problem> {
    let asset = named(name)?;
    let tag = EntityTag::new_weak(VERSION.clone()); // weak, since it stands for all content codings
    let known = IfNoneMatch::parse(req).is_ok_and(|known| match known {
        IfNoneMatch::Any => true,
        IfNoneMatch::Items(tags) => tags.iter().any(|known| known.weak_eq(&tag)),
    });
    let coding = content_coding(req);
    let mut response = if known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response.insert_header((header::CACHE_CONTROL, "no-cache")).insert_header(ETag(tag));
    if known {
        response.insert_header((header::VARY, "Accept-Encoding"));
        return Ok(response.finish());
    }
    let mut response = response.content_type("text/javascript; charset=utf-8").body(asset.encoded(coding));
    compression::set_coding(response.headers_mut(), coding);
    Ok(response)
}

fn bytes(file: &EmbeddedFile) -> Bytes {
    match &file.data {
        Cow::Borrowed(data) => Bytes::from_static(data),
        Cow::Owned(data) => Bytes::copy_from_slice(data),
    }
}

fn named(name: &str) -> Result<&'static Asset, Problem> {
    ASSETS.get(name).ok_or_else(|| Problem::not_found("There is no such file."))
}

impl Asset {
    fn new(name: &str, file: EmbeddedFile) -> Self {
        let made = |made: Option<EmbeddedFile>| made.map_or_else(OnceLock::new, |made| OnceLock::from(bytes(&made)));
        Self { file, gzip: made(EmbeddedGzip::get(name)), brotli: made(EmbeddedBrotli::get(name)) }
    }

    fn plain(&self) -> Bytes {
        bytes(&self.file)
    }

    /// Returns the file in a content coding.
    fn encoded(&self, coding: Option<ContentEncoding>) -> Bytes {
        let compress = |coding, effort| Bytes::from(compression::compress(coding, &self.plain(), effort));
        match coding {
            None => self.plain(),
            Some(ContentEncoding::Brotli) => self.brotli.get().cloned().unwrap_or_else(|| {
                compress_in_background();
                compress(ContentEncoding::Brotli, Effort::PerRequest)
            }),
            Some(coding) => self.gzip.get_or_init(|| compress(coding, Effort::Cached)).clone(),
        }
    }
}

/// Compresses all files as small as possible with brotli, which takes up to 0.1 s for each. The first call starts that.
fn compress_in_background() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        let compress = |asset: &Asset| compression::compress(ContentEncoding::Brotli, &asset.plain(), Effort::Cached);
        thread::spawn(move || {
            for asset in ASSETS.values() {
                asset.brotli.get_or_init(|| compress(asset).into());
            }
        });
    });
}
