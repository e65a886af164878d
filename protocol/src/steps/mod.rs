//! The steps of a plan, each with its client half and its server half side by side.
