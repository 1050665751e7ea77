//! Requests and connections: pages and assets, history, health, methods, cross-site rules, deadlines.

mod all_history;
mod connections;
mod cross_site;
mod deletion;
mod health;
mod history;
mod methods;
mod own_messages;
mod pages;
mod requests;
