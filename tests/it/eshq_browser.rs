//! Pages of other sites that read a hub's channels: with `es.js`, with a copy of the original library, and the sample
//! chat.

mod app;
mod pages;
mod sample_chat;
mod scripts;
