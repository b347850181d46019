//! The policies on a real API server, with no operator: the test writes the Clearance and the marks in its place.

mod cases;
mod closed;
mod holes;
mod older;
mod open;
mod stores;
mod webhook;
mod world;
