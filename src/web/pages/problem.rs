//! The page of a problem: what is wrong in words, what can be done about it and, if a message was submitted, a form to send
//! it again.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use super::rendering::render;
use crate::chat::{Fields, MAX_MESSAGE_CHARS, MAX_SENDER_CHARS, RoomName};
use crate::web::assets;
use crate::web::error::Problem;
use crate::web::path::room_text;

#[derive(Template)]
#[template(path = "error.html")]
struct ProblemPage<'a> {
    status: u16,
    title: String,
    detail: &'a str,
    /// The path of the assets' folder.
    assets: String,
    draft: Option<SubmittedMessage<'a>>,
    /// A room whose name is like what was asked for.
    suggestion: Option<RoomName>,
    /// The path of the link back to the chat.
    back: &'a str,
}

/// A message that was refused, to be filled into a form.
struct SubmittedMessage<'a> {
    /// The path that the form posts to.
    action: &'a str,
    sender: &'a str,
    message: &'a str,
}

/// Renders the page of a problem.
pub(crate) fn problem_page(problem: &Problem, req: &HttpRequest) -> HttpResponse {
    let submitted = problem.submitted.as_deref();
    let draft = submitted.map(|(fields, room_path)| SubmittedMessage {
        action: room_path,
        sender: fields.sender.as_deref().unwrap_or_default(),
        message: fields.message.as_deref().unwrap_or_default(),
    });
    let asked = room_text(req);
    let is_room = RoomName::parse(&asked).is_ok();
    let is_no_room = problem.status == StatusCode::NOT_FOUND && !is_room;
    let page = ProblemPage {
        status: problem.status.as_u16(),
        title: title(problem, submitted.map(|(fields, _)| fields), is_no_room),
        // Clients read which field it is about from the beginning; here the form shows that.
        detail: FIELDS.iter().find_map(|field| problem.detail.strip_prefix(field)).unwrap_or(&problem.detail),
        assets: assets::folder(),
        suggestion: is_no_room.then(|| RoomName::like(&asked)).flatten(),
        back: draft.as_ref().map_or("/", |draft| draft.action),
        draft,
    };
    render(problem.response(), &page)
}

/// How the details of a problem with a field begin.
const FIELDS: [&str; 2] = ["message: ", "sender: "];

/// Says in a few words what is wrong.
fn title(problem: &Problem, submitted: Option<&Fields>, is_no_room: bool) -> String {
    let title = match problem.status {
        StatusCode::UNPROCESSABLE_ENTITY => {
            return submitted.and_then(invalid).unwrap_or_else(|| problem.title().into());
        }
        StatusCode::NOT_FOUND if is_no_room => "There can be no such room",
        StatusCode::NOT_FOUND => "There is nothing here",
        StatusCode::UNAUTHORIZED => "This is not open to everyone",
        StatusCode::FORBIDDEN => "That came from another site",
        StatusCode::PAYLOAD_TOO_LARGE => "That is too much for one message",
        StatusCode::TOO_MANY_REQUESTS => "That was a little too fast",
        StatusCode::SERVICE_UNAVAILABLE => "The server cannot do that now",
        StatusCode::INTERNAL_SERVER_ERROR => "Something broke",
        _ => problem.title(),
    };
    title.into()
}

/// Says what is wrong with the fields of a message.
fn invalid(fields: &Fields) -> Option<String> {
    let message = fields.message.as_deref().unwrap_or_default();
    let sender = fields.sender.as_deref().unwrap_or_default();
    let excess = |text: &str, most: usize| text.chars().count().checked_sub(most).filter(|excess| *excess > 0);
    let characters = |count: usize| if count == 1 { "1 character".into() } else { format!("{count} characters") };
    if let Some(excess) = excess(message, MAX_MESSAGE_CHARS) {
        return Some(format!("That is {} too long", characters(excess)));
    }
    if message.trim().is_empty() {
        return Some("There is nothing in that message".into());
    }
    let excess = excess(sender, MAX_SENDER_CHARS)?;
    Some(format!("That name is {} too long", characters(excess)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_fields_are_explained_with_numbers() {
        let explained = |sender: &str, message: &str| {
            invalid(&Fields { sender: Some(sender.into()), message: Some(message.into()), ..Fields::default() })
        };
        assert_eq!(explained("", &"é".repeat(4290)).unwrap(), "That is 290 characters too long");
        assert_eq!(explained("", &"é".repeat(4001)).unwrap(), "That is 1 character too long");
        assert_eq!(explained(&"é".repeat(66), "hi").unwrap(), "That name is 2 characters too long");
        assert_eq!(explained("", " \n").unwrap(), "There is nothing in that message");
        assert_eq!(explained("ada", "hi"), None);
    }
}
