//! Posting a message: bodies, fields, forms, keys, ids and hostile input.

mod bodies;
mod fields;
mod forms;
mod hostile_input;
mod idempotency_keys;
mod ids;
mod marks;
mod messages;
