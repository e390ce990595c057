//! Update steps that go through memory once.
//!
//! An optimizer step is bound by memory traffic: written with tensor operations it reads and
//! writes every state tensor several times. These functions are one pass over all of them on Flex,
//! in place where nothing else holds a tensor's storage, and the same formula in tensor operations
//! on every other backend.
//!
//! | module | what |
//! |---|---|
//! | [`adai`] | the step of Adai, AdaiW and AdaiV2 |

pub mod adai;
