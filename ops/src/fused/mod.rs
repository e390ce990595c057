//! Operations that Flex has a kernel for here.
//!
//! Written with tensor operations, an optimizer step reads and writes every state tensor several
//! times, and `tanh` calls the system's library once per element. These functions are one pass on
//! Flex, in place where nothing else holds a tensor's storage, and the same formula in tensor
//! operations on every other backend.
//!
//! | item | what |
//! |---|---|
//! | [`adai`] | the step of Adai, AdaiW and AdaiV2 |
//! | [`tanh()`] | the hyperbolic tangent, with its gradient |

pub mod adai;
mod tanh;

pub use tanh::tanh;
