//! Pages of other sites that read a hub's channels: with `es.js`, and with a copy of the original library.

mod app;
mod pages;
mod scripts;
