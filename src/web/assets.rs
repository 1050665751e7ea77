use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{LazyLock, OnceLock};

use actix_web::http::header::{self, ContentEncoding};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use rust_embed::{EmbeddedFile, RustEmbed};
use sha2::{Digest, Sha256};

use super::compression::{self, Effort};
use super::error::Problem;
use super::negotiation::content_coding;

/// The page's files, in the binary.
#[derive(RustEmbed)]
#[folder = "assets/"]
struct Files;

/// A file as it is served, and in each coding once somebody has asked for it.
struct Asset {
    kind: String,
    plain: Bytes,
    brotli: OnceLock<Bytes>,
    gzip: OnceLock<Bytes>,
}

static ASSETS: LazyLock<BTreeMap<Cow<'static, str>, Asset>> = LazyLock::new(|| {
    let assets = Files::iter().filter_map(|name| Some((name.clone(), Asset::new(&name, Files::get(&name)?))));
    assets.collect()
});

/// The content address of all files together. They stand in one folder named by it, so that a
/// module finds the others beside it without a build step.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut all = Sha256::new();
    for (name, asset) in ASSETS.iter() {
        all.update(name.as_bytes());
        all.update(Sha256::digest(&asset.plain));
    }
    all.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
});

/// The path of the folder of this version's files.
pub fn folder() -> String {
    format!("/assets/{}", *VERSION)
}

/// `GET /assets/{version}/{file}`. Nodes of two versions run side by side in a deploy: asked for
/// under another version, this version's file is better than none, but must not be kept.
pub async fn file(req: HttpRequest, path: web::Path<(String, String)>) -> Result<HttpResponse, Problem> {
    let (version, name) = path.into_inner();
    let asset = ASSETS.get(name.as_str()).ok_or_else(|| Problem::not_found("There is no such file."))?;
    let caching = match version == *VERSION {
        true => "public, max-age=31536000, immutable",
        false => "no-store",
    };
    let coding = content_coding(&req);
    let mut answer = HttpResponse::Ok()
        .content_type(asset.kind.as_str())
        .insert_header((header::CACHE_CONTROL, caching))
        .body(asset.bytes(coding));
    compression::set_coding(answer.headers_mut(), coding);
    Ok(answer)
}

impl Asset {
    fn new(name: &str, file: EmbeddedFile) -> Self {
        let kind = file.metadata.mimetype().to_owned();
        let smaller = std::str::from_utf8(&file.data).ok().and_then(|source| smaller(name, source));
        let plain = smaller.map_or_else(|| Bytes::from(file.data.into_owned()), Bytes::from);
        Self { kind, plain, brotli: OnceLock::new(), gzip: OnceLock::new() }
    }

    fn bytes(&self, coding: Option<ContentEncoding>) -> Bytes {
        let Some(coding) = coding else {
            return self.plain.clone();
        };
        let kept = if coding == ContentEncoding::Brotli { &self.brotli } else { &self.gzip };
        kept.get_or_init(|| compression::compress(coding, &self.plain, Effort::Cached).into()).clone()
    }
}

/// A script or style sheet as it goes out: comments and indentation are for those who read the
/// repository, and weigh a third of the whole. What cannot be understood goes out as it is.
fn smaller(name: &str, source: &str) -> Option<String> {
    match name.rsplit_once('.')?.1 {
        "js" => Some(minifier::js::minify(source).to_string()),
        "css" => Some(minifier::css::minify(source).ok()?.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_stay_in_the_repository_and_code_is_served() {
        let source = "/**\n * Rule.\n */\nexport const A = '/* x */'; // rest\n\n  // why\n  const B = /\\/\\*/;\n";
        assert_eq!(smaller("a.js", source).as_deref(), Some("export const A='/* x */';const B=/\\/\\*/;"));
        assert_eq!(smaller("a.css", "/* why */\na { color: red; }\n").as_deref(), Some(" a{color:red;}"));
        assert_eq!(smaller("a.svg", "<svg/>"), None);
    }
}
