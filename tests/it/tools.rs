//! The doctor, the demo, the benchmarks, the fuzz targets, clients of others, the features, the workflows, and the repository
//! itself.

mod api_document;
mod bench;
pub mod clients;
mod demo;
mod doctor;
mod faulttest;
mod features;
mod fuzz;
mod guarantees;
mod instructions;
mod million;
mod planted;
mod promises;
mod readme;
mod references;
mod schemathesis;
mod source_tree;
mod workflows;
