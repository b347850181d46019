//! `rempart crds`.

use super::{Failure, print_yaml};
use crate::api;

pub(super) fn run() -> Result<(), Failure> {
    print_yaml(&api::crds())
}
