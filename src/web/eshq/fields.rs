//! The fields of a request: of a form in its body, or in its query.

use actix_web::{HttpRequest, web};

use super::refusal::Refusal;
use crate::web::body::{self, FormFields};
use crate::web::error::Problem;
use crate::web::query;

/// The fields that are read. All others are ignored, `id` among them.
const NAMES: [&str; 8] = ["key", "timestamp", "token", "channel", "presence_id", "data", "type", "name"];

/// The fields of a request.
pub struct CallFields(FormFields);

impl CallFields {
    /// Reads the query of a request without a body.
    pub fn of_query(req: &HttpRequest) -> Self {
        Self::with_query(FormFields::default(), req)
    }

    /// Reads the body of a request, and its query. A field that is in both has the value of the body.
    ///
    /// # Errors
    /// 400, 413 or 415 for a body that cannot be read.
    pub async fn read(req: &HttpRequest, payload: web::Payload) -> Result<Self, Problem> {
        Ok(Self::with_query(body::read_form(req, payload, &NAMES).await?, req))
    }

    fn with_query(mut fields: FormFields, req: &HttpRequest) -> Self {
        for name in NAMES {
            fields.set_default(name, || query::first(req, &[name]));
        }
        Self(fields)
    }

    /// Returns a field.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name)
    }

    /// Takes a field that must be there and not empty.
    ///
    /// # Errors
    /// 400 if it is not.
    pub fn take_required(&mut self, name: &str) -> Result<String, Refusal> {
        self.0.take(name).filter(|value| !value.is_empty()).ok_or_else(|| Refusal::missing(name))
    }

    /// Takes a field that must be there.
    ///
    /// # Errors
    /// 400 if it is not.
    pub fn take(&mut self, name: &str) -> Result<String, Refusal> {
        self.0.take(name).ok_or_else(|| Refusal::missing(name))
    }
}
