//! The part of Python's pickle format that citation networks are stored in.
//!
//! A pickle is a program for a small stack machine, and in general may call any function. This
//! machine builds plain values only: it knows the instructions that the files use, six names, and
//! calls nothing. Everything it makes lies in one list and refers to its parts by position, so that
//! neither deep nesting nor cycles can exhaust the stack, and every instruction makes at most one
//! value.
//!
//! # References
//! The comments of `pickletools` in Python's standard library describe the instructions.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;

use crate::DatasetError;

/// Most values that a file may make; the largest of the known files makes under a million.
const MOST_VALUES: usize = 1 << 22;

/// Deepest nesting of marks.
const MOST_MARKS: usize = 64;

/// The names that a file may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    SparseMatrix,
    ReconstructArray,
    Array,
    ElementType,
    DefaultDict,
    /// Only as what [`Name::DefaultDict`] is filled with.
    List,
}

impl Name {
    fn parse(module: &[u8], name: &[u8]) -> Option<Self> {
        match (module, name) {
            (b"scipy.sparse.csr", b"csr_matrix") => Some(Self::SparseMatrix),
            (b"numpy.core.multiarray", b"_reconstruct") => Some(Self::ReconstructArray),
            (b"numpy", b"ndarray") => Some(Self::Array),
            (b"numpy", b"dtype") => Some(Self::ElementType),
            (b"collections", b"defaultdict") => Some(Self::DefaultDict),
            (b"__builtin__", b"list") => Some(Self::List),
            _ => None,
        }
    }
}

/// Where a value lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Handle(u32);

/// What a file can hold.
#[derive(Clone, Debug)]
pub(super) enum Value {
    None,
    Bool(bool),
    Integer(i64),
    /// Bytes of the file.
    Bytes(Range<usize>),
    Name(Name),
    Tuple(Vec<Handle>),
    List(Vec<Handle>),
    Dict(Vec<(Handle, Handle)>),
    /// Made from a class or function and its arguments, and perhaps given a state.
    Object {
        of: Name,
        arguments: Handle,
        state: Option<Handle>,
    },
}

impl Value {
    fn kind(&self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Bool(_) => "a truth value",
            Self::Integer(_) => "an integer",
            Self::Bytes(_) => "a string",
            Self::Name(_) => "a name",
            Self::Tuple(_) => "a tuple",
            Self::List(_) => "a list",
            Self::Dict(_) => "a dictionary",
            Self::Object { of: Name::SparseMatrix, .. } => "a sparse matrix",
            Self::Object { of: Name::ElementType, .. } => "an element type",
            Self::Object { .. } => "an array",
        }
    }
}

/// All values of a file.
pub(super) struct Pickle<'a> {
    file: &'a Path,
    bytes: &'a [u8],
    /// Each with the place of the instruction that made it.
    values: Vec<(usize, Value)>,
    root: Handle,
}

impl<'a> Pickle<'a> {
    /// Runs the program in `bytes`; `file` is its name in messages.
    pub(super) fn parse(bytes: &'a [u8], file: &'a Path) -> Result<Self, DatasetError> {
        let mut machine = Machine {
            file,
            bytes,
            position: 0,
            instruction: 0,
            values: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memory: HashMap::new(),
        };
        let root = machine.run()?;
        Ok(Self { file, bytes, values: machine.values, root })
    }

    /// The value that the whole file stands for.
    pub(super) fn root(&self) -> Handle {
        self.root
    }

    pub(super) fn value(&self, handle: Handle) -> &Value {
        &self.values[handle.0 as usize].1
    }

    /// The bytes of a string.
    pub(super) fn bytes(&self, range: &Range<usize>) -> &'a [u8] {
        &self.bytes[range.clone()]
    }

    /// An error at the place where a value was made.
    pub(super) fn error(
        &self,
        at: Handle,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> DatasetError {
        let (file, offset) = (self.file.to_path_buf(), self.values[at.0 as usize].0);
        DatasetError::Pickle { file, offset, expected: expected.into(), found: found.into() }
    }

    /// An error that says what kind of value was found.
    pub(super) fn wrong(&self, at: Handle, expected: impl Into<String>) -> DatasetError {
        self.error(at, expected, self.value(at).kind())
    }
}

/// The machine while it runs.
struct Machine<'a> {
    file: &'a Path,
    bytes: &'a [u8],
    position: usize,
    /// Where the current instruction starts.
    instruction: usize,
    values: Vec<(usize, Value)>,
    stack: Vec<Handle>,
    /// Heights of the stack at the marks that are open.
    marks: Vec<usize>,
    memory: HashMap<u32, Handle>,
}

impl Machine<'_> {
    fn run(&mut self) -> Result<Handle, DatasetError> {
        loop {
            self.instruction = self.position;
            let code = self.byte()?;
            if code == b'.' {
                break;
            }
            self.step(code)?;
        }
        if self.position < self.bytes.len() {
            let found = format!("{} bytes more", self.bytes.len() - self.position);
            return Err(self.error("the end of the file after the last instruction", found));
        }
        match (self.stack.as_slice(), self.marks.as_slice()) {
            (&[root], []) => Ok(root),
            (stack, _) => {
                let found = format!("{} values, {} marks", stack.len(), self.marks.len());
                Err(self.error("one value at the end and no mark", found))
            }
        }
    }

    /// Carries out one instruction.
    fn step(&mut self, code: u8) -> Result<(), DatasetError> {
        match code {
            0x80 => self.protocol(),
            b'N' => self.push(Value::None),
            0x88 => self.push(Value::Bool(true)),
            0x89 => self.push(Value::Bool(false)),
            b'K' | b'M' | b'J' | 0x8a => self.integer(code),
            b'U' | b'T' | b'X' => self.string(code),
            b'c' => self.name(),
            b')' => self.push(Value::Tuple(Vec::new())),
            b']' => self.push(Value::List(Vec::new())),
            b'}' => self.push(Value::Dict(Vec::new())),
            0x85..=0x87 => {
                let items = self.pop_many(usize::from(code - 0x84))?;
                self.push(Value::Tuple(items))
            }
            b't' => {
                let items = self.pop_mark()?;
                self.push(Value::Tuple(items))
            }
            b'(' => self.mark(),
            b'q' | b'r' => self.remember(code),
            b'h' | b'j' => self.recall(code),
            b'a' | b'e' | b's' | b'u' => self.fill(code),
            b'R' | 0x81 => self.make(code),
            b'b' => self.build(),
            other => {
                let found = format!("the byte {other:#04x}");
                Err(self.error("an instruction that citation networks use", found))
            }
        }
    }

    fn protocol(&mut self) -> Result<(), DatasetError> {
        match self.byte()? {
            2 if self.instruction == 0 => Ok(()),
            found => Err(self.error("protocol 2, once, at the start", format!("protocol {found}"))),
        }
    }

    fn integer(&mut self, code: u8) -> Result<(), DatasetError> {
        let length = match code {
            b'K' => 1,
            b'M' => 2,
            b'J' => 4,
            _ => usize::from(self.byte()?),
        };
        if length > 8 {
            return Err(self.error("an integer of at most 8 bytes", format!("{length} bytes")));
        }
        let signed = !matches!(code, b'K' | b'M');
        let bytes = self.take(length)?;
        let negative = signed && bytes.last().is_some_and(|&last| last >= 0x80);
        let mut whole = [if negative { 0xff } else { 0 }; 8];
        whole[..length].copy_from_slice(bytes);
        self.push(Value::Integer(i64::from_le_bytes(whole)))
    }

    fn string(&mut self, code: u8) -> Result<(), DatasetError> {
        let length = match code {
            b'U' => u32::from(self.byte()?),
            _ => self.word()?,
        };
        let start = self.position;
        let length = self.take(length as usize)?.len();
        self.push(Value::Bytes(start..start + length))
    }

    /// A module and a name, each in a line of its own.
    fn name(&mut self) -> Result<(), DatasetError> {
        let (module, name) = (self.line()?, self.line()?);
        match Name::parse(&self.bytes[module.clone()], &self.bytes[name.clone()]) {
            Some(name) => self.push(Value::Name(name)),
            None => {
                let text = |range| shorten(&self.bytes[range]);
                let found = format!("the name {} {}", text(module), text(name));
                Err(self.error("one of the six names that citation networks use", found))
            }
        }
    }

    fn mark(&mut self) -> Result<(), DatasetError> {
        if self.marks.len() == MOST_MARKS {
            return Err(self.error(format!("at most {MOST_MARKS} open marks"), "one more"));
        }
        self.marks.push(self.stack.len());
        Ok(())
    }

    fn remember(&mut self, code: u8) -> Result<(), DatasetError> {
        let key = self.key(code == b'q')?;
        let value = self.top()?;
        self.memory.insert(key, value);
        Ok(())
    }

    fn recall(&mut self, code: u8) -> Result<(), DatasetError> {
        let key = self.key(code == b'h')?;
        match self.memory.get(&key) {
            Some(&value) => {
                self.stack.push(value);
                Ok(())
            }
            None => Err(self.error("a value that was remembered", format!("the key {key}"))),
        }
    }

    /// Adds one value or those above the mark to the list or dictionary below.
    fn fill(&mut self, code: u8) -> Result<(), DatasetError> {
        let items = match code {
            b'a' => self.pop_many(1)?,
            b's' => self.pop_many(2)?,
            _ => self.pop_mark()?,
        };
        let target = self.top()?;
        let wanted = if matches!(code, b'a' | b'e') { "a list" } else { "a dictionary" };
        match &mut self.values[target.0 as usize].1 {
            Value::List(list) if wanted == "a list" => list.extend(items),
            Value::Dict(dict) if wanted == "a dictionary" => {
                let pairs = items.as_chunks::<2>();
                if let [_, ..] = pairs.1 {
                    return Err(self.error("a value for every key", "a key without one"));
                }
                dict.extend(pairs.0.iter().map(|&[key, value]| (key, value)));
            }
            other => {
                let found = other.kind();
                return Err(self.error(format!("{wanted} to add to"), found));
            }
        }
        Ok(())
    }

    /// Makes an object of one of the known kinds; nothing is called.
    fn make(&mut self, code: u8) -> Result<(), DatasetError> {
        let [callable, arguments] = self.pop()?;
        let Value::Tuple(items) = self.get(arguments) else {
            return Err(self.error("a tuple of arguments", self.get(arguments).kind()));
        };
        let Value::Name(of) = *self.get(callable) else {
            return Err(self.error("a name to make an object of", self.get(callable).kind()));
        };
        let is = |index: usize, name| {
            items
                .get(index)
                .is_some_and(|&item| matches!(self.get(item), Value::Name(n) if *n == name))
        };
        let made = match (code, of) {
            (0x81, Name::SparseMatrix) if items.is_empty() => {
                Value::Object { of, arguments, state: None }
            }
            (b'R', Name::ReconstructArray) if is(0, Name::Array) => {
                Value::Object { of, arguments, state: None }
            }
            (b'R', Name::ElementType) if !items.is_empty() => {
                Value::Object { of, arguments, state: None }
            }
            (b'R', Name::DefaultDict) if items.len() == 1 && is(0, Name::List) => {
                Value::Dict(Vec::new())
            }
            _ => {
                let found = format!("{of:?} with {} arguments", items.len());
                let expected =
                    "a sparse matrix, an array, an element type or a dictionary of lists";
                return Err(self.error(expected, found));
            }
        };
        self.push(made)
    }

    /// Gives an object its state, once.
    fn build(&mut self) -> Result<(), DatasetError> {
        let [given] = self.pop()?;
        let object = self.top()?;
        match &mut self.values[object.0 as usize].1 {
            Value::Object { state: state @ None, .. } => {
                *state = Some(given);
                Ok(())
            }
            other => {
                let found = other.kind();
                Err(self.error("an object without a state", found))
            }
        }
    }

    fn get(&self, handle: Handle) -> &Value {
        &self.values[handle.0 as usize].1
    }

    fn push(&mut self, value: Value) -> Result<(), DatasetError> {
        if self.values.len() == MOST_VALUES {
            return Err(self.error(format!("at most {MOST_VALUES} values"), "one more"));
        }
        self.stack.push(Handle(self.values.len() as u32));
        self.values.push((self.instruction, value));
        Ok(())
    }

    /// Lowest height of the stack that values may be taken down to.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or_default()
    }

    fn top(&self) -> Result<Handle, DatasetError> {
        match self.stack[self.floor()..].last() {
            Some(&top) => Ok(top),
            None => Err(self.error("a value to work on", "none above the last mark")),
        }
    }

    fn pop_many(&mut self, count: usize) -> Result<Vec<Handle>, DatasetError> {
        let there = self.stack.len() - self.floor();
        if there < count {
            return Err(self.error(format!("{count} values to work on"), there.to_string()));
        }
        Ok(self.stack.split_off(self.stack.len() - count))
    }

    fn pop<const N: usize>(&mut self) -> Result<[Handle; N], DatasetError> {
        let popped = self.pop_many(N)?;
        Ok(popped.try_into().expect("as many were taken"))
    }

    fn pop_mark(&mut self) -> Result<Vec<Handle>, DatasetError> {
        match self.marks.pop() {
            Some(height) => Ok(self.stack.split_off(height)),
            None => Err(self.error("an open mark", "none")),
        }
    }

    fn key(&mut self, short: bool) -> Result<u32, DatasetError> {
        if short { self.byte().map(u32::from) } else { self.word() }
    }

    fn byte(&mut self) -> Result<u8, DatasetError> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn word(&mut self) -> Result<u32, DatasetError> {
        let bytes = self.take(4)?;
        Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    /// The next bytes of the file, which must be there.
    fn take(&mut self, length: usize) -> Result<&[u8], DatasetError> {
        let left = self.bytes.len() - self.position;
        if length > left {
            let found = format!("the end of the file after {left}");
            return Err(self.error(format!("{length} bytes at byte {}", self.position), found));
        }
        self.position += length;
        Ok(&self.bytes[self.position - length..self.position])
    }

    /// The bytes up to the next line break, which is skipped.
    fn line(&mut self) -> Result<Range<usize>, DatasetError> {
        let rest = &self.bytes[self.position..];
        match rest.iter().position(|&byte| byte == b'\n') {
            Some(length) => {
                let range = self.position..self.position + length;
                self.position += length + 1;
                Ok(range)
            }
            None => Err(self.error("a line with a name", "the end of the file")),
        }
    }

    fn error(&self, expected: impl Into<String>, found: impl Into<String>) -> DatasetError {
        DatasetError::Pickle {
            file: self.file.to_path_buf(),
            offset: self.instruction,
            expected: expected.into(),
            found: found.into(),
        }
    }
}

/// Some bytes as text for a message.
fn shorten(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]);
    let text: String = text.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    if bytes.len() > 40 { format!("\"{text}...\"") } else { format!("\"{text}\"") }
}
