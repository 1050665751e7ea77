//! Requests and connections: pages and assets, history, health, methods, cross-site rules, deadlines.

mod connections;
mod cross_site;
mod health;
mod history;
mod methods;
mod pages;
mod requests;
