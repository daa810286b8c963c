//! JSON: an object a line, or an array of objects; an object is a row.

use std::io::{BufRead, BufReader, Read};

use serde_json::Value;

use super::delimited::too_long;
use super::packed::Stream;
use super::{Cell, Limits, RawRow, out_of_io, unreadable};
use crate::error::{Error, Result, Says};
use crate::web::body;

/// Objects with a line for each.
pub struct Lines {
    text: BufReader<Stream>,
    line: Vec<u8>,
    number: u64,
    most: usize,
    begun: bool,
}

impl Lines {
    pub fn new(text: Stream, limits: &Limits) -> Self {
        Self { text: BufReader::new(text), line: Vec::new(), number: 0, most: limits.cell, begun: false }
    }

    /// A file whose first line is no object is something else: one object over many lines, say.
    fn given(&mut self, row: RawRow) -> Result<RawRow> {
        match &row.cells[..] {
            [Cell::Text(text)] if !self.begun => {
                let says = malformed(text);
                Err(unreadable(format!("第 {} 条记录：{}", row.number, says.zh), format!("record {}: {}", row.number, says.en)))
            }
            _ => {
                self.begun = true;
                Ok(row)
            }
        }
    }

    pub fn next(&mut self) -> Result<Option<RawRow>> {
        loop {
            self.line.clear();
            let mut line = self.text.by_ref().take(self.most as u64 + 1);
            let n = line.read_until(b'\n', &mut self.line).map_err(|error| out_of_io(&error, || wrong(self.number + 1, "")))?;
            if n == 0 {
                return Ok(None);
            }
            self.number += 1;
            if n > self.most {
                return Err(too_long(self.most as u64));
            }
            if !self.line.iter().all(u8::is_ascii_whitespace) {
                return self.given(row(self.number, &self.line)).map(Some);
            }
        }
    }
}

/// Objects in one array. Only the object at hand is held.
pub struct Array {
    text: BufReader<Stream>,
    object: Vec<u8>,
    number: u64,
    most: usize,
    ended: bool,
}

impl Array {
    pub fn new(text: Stream, limits: &Limits) -> Self {
        Self { text: BufReader::new(text), object: Vec::new(), number: 0, most: limits.cell, ended: false }
    }

    pub fn next(&mut self) -> Result<Option<RawRow>> {
        if self.ended {
            return Ok(None);
        }
        // Before the first object the bracket, before each other one a comma.
        if self.number == 0 {
            self.expect(b'[')?;
        }
        let first = self.number == 0;
        self.number += 1;
        match self.byte()? {
            Some(b']') => {
                self.ended = true;
                return if self.byte()?.is_none() { Ok(None) } else { Err(wrong(self.number, "数组之后还有内容；")) };
            }
            Some(b',') if !first => self.expect(b'{')?,
            Some(b'{') if first => {}
            _ => return Err(wrong(self.number, "")),
        }
        self.take_object()?;
        Ok(Some(row(self.number, &self.object)))
    }

    /// The next byte that is not space.
    fn byte(&mut self) -> Result<Option<u8>> {
        loop {
            let number = self.number;
            let piece = self.text.fill_buf().map_err(|error| out_of_io(&error, || wrong(number, "")))?;
            let Some(place) = piece.iter().position(|byte| !byte.is_ascii_whitespace()) else {
                let n = piece.len();
                if n == 0 {
                    return Ok(None);
                }
                self.text.consume(n);
                continue;
            };
            let byte = piece[place];
            self.text.consume(place + 1);
            return Ok(Some(byte));
        }
    }

    fn expect(&mut self, wanted: u8) -> Result<()> {
        if self.byte()? == Some(wanted) { Ok(()) } else { Err(wrong(self.number, "")) }
    }

    /// The text of an object whose first brace has been read, up to the brace that closes it.
    fn take_object(&mut self) -> Result<()> {
        self.object.clear();
        self.object.push(b'{');
        let (mut depth, mut quoted, mut escaped) = (1_u32, false, false);
        while depth > 0 {
            let number = self.number;
            let piece = self.text.fill_buf().map_err(|error| out_of_io(&error, || wrong(number, "")))?;
            if piece.is_empty() {
                return Err(wrong(number, "文件在此中断；"));
            }
            let mut taken = 0;
            for byte in piece {
                taken += 1;
                match byte {
                    _ if escaped => escaped = false,
                    b'\\' if quoted => escaped = true,
                    b'"' => quoted = !quoted,
                    b'{' if !quoted => depth += 1,
                    b'}' if !quoted => depth -= 1,
                    _ => {}
                }
                if depth == 0 {
                    break;
                }
            }
            self.object.extend_from_slice(&piece[..taken]);
            self.text.consume(taken);
            if self.object.len() > self.most {
                return Err(too_long(self.most as u64));
            }
        }
        Ok(())
    }
}

/// A record that is no JSON object is one bad row of its file, which goes on after it: it stands in its cell as its text.
fn row(number: u64, text: &[u8]) -> RawRow {
    let cell = match body::parse(text) {
        Ok(value @ Value::Object(_)) => Cell::Json(value),
        _ => Cell::Text(String::from_utf8_lossy(text.trim_ascii()).into_owned()),
    };
    RawRow { number, cells: vec![cell] }
}

/// What keeps a record's text from being an object.
pub fn malformed(text: &str) -> Says {
    match body::parse(text.as_bytes()) {
        // Which line it is stands beside what is said.
        Err(error) => error.detail.map_or_else(
            || error.code.title(),
            |says| Says::new(says.zh.replace("第 1 行第", "第"), says.en.replace("line 1 column", "column")),
        ),
        Ok(_) => Says::new("此条应为一个完整的 JSON 对象，即 {…}", "this should be one whole JSON object, as {…}"),
    }
}

fn wrong(number: u64, what: &str) -> Error {
    unreadable(
        format!("第 {number} 条记录：{what}每条记录应为一个完整的 JSON 对象，一行一个，或在一个数组中以逗号分隔"),
        format!("record {number}: each should be one whole JSON object, one a line, or in one array with commas between them"),
    )
}
