//! XML as workbooks have it, read event by event: without entities of its own, not nested deep, and no piece beyond the limit.

use std::borrow::Cow;
use std::io::BufReader;

use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesEnd, BytesStart, Event};
use quick_xml::{Error as Fault, Reader, XmlVersion};

use super::delimited::too_long;
use super::packed::{Bounded, Stream};
use super::{Limits, out_of_io, unreadable};
use crate::error::{Error, Result};

const BUFFER: usize = 64 * 1024;
/// A sheet's cells stand five deep; styles, which nest deepest, hardly ten.
const DEPTH: u32 = 64;

pub struct Xml {
    reader: Reader<BufReader<Bounded<Stream>>>,
    buffer: Vec<u8>,
    depth: u32,
}

/// What comes next in a document.
pub enum Node<'a> {
    Start(BytesStart<'a>),
    /// The same without content, so that no end follows.
    Alone(BytesStart<'a>),
    End(BytesEnd<'a>),
    Text(Cow<'a, str>),
    EndOfDocument,
}

impl Xml {
    pub fn new(stream: Stream, limits: &Limits) -> Self {
        let reader = Reader::from_reader(BufReader::with_capacity(BUFFER, Bounded::new(stream, limits.cell, BUFFER, too_long)));
        Self { reader, buffer: Vec::new(), depth: 0 }
    }

    /// The next of what matters; comments and declarations don't.
    pub fn next(&mut self) -> Result<Node<'_>> {
        self.reader.get_mut().get_mut().mark();
        self.buffer.clear();
        match self.reader.read_event_into(&mut self.buffer).map_err(|error| refused(&error))? {
            Event::Start(start) => {
                self.depth += 1;
                if self.depth > DEPTH { Err(malformed()) } else { Ok(Node::Start(start)) }
            }
            Event::Empty(start) => Ok(Node::Alone(start)),
            Event::End(end) => {
                self.depth = self.depth.saturating_sub(1);
                Ok(Node::End(end))
            }
            Event::Text(text) => Ok(Node::Text(text.xml10_content())),
            Event::CData(text) => Ok(Node::Text(text.xml10_content())),
            Event::GeneralRef(name) => {
                let resolved = match name.resolve_char_ref().map_err(|_| malformed())? {
                    Some(c) => Cow::Owned(c.to_string()),
                    None => Cow::Borrowed(resolve_xml_entity(&name).ok_or_else(entity)?),
                };
                Ok(Node::Text(resolved))
            }
            Event::DocType(_) => Err(entity()),
            Event::Eof if self.depth > 0 => Err(malformed()),
            Event::Eof => Ok(Node::EndOfDocument),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => Ok(Node::Text(Cow::Borrowed(""))),
        }
    }
}

/// An attribute by its local name.
pub fn attribute(start: &BytesStart<'_>, name: &str) -> Result<Option<String>> {
    for attribute in start.attributes().with_checks(false) {
        let attribute = attribute.map_err(|_| malformed())?;
        if attribute.key.local_name().into_inner() == name {
            return Ok(Some(attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|_| malformed())?.into_owned()));
        }
    }
    Ok(None)
}

fn refused(error: &Fault) -> Error {
    if let Fault::Io(error) = error { out_of_io(error, malformed) } else { malformed() }
}

pub fn malformed() -> Error {
    unreadable(
        "工作簿内容不完整或已损坏；请在 Excel 中重新保存后上传",
        "the workbook's content is incomplete or damaged; save it again in Excel and send it anew",
    )
}

fn entity() -> Error {
    unreadable(
        "工作簿的 XML 含有 DTD 或自定义实体，不予读取；请在 Excel 中重新保存后上传",
        "the workbook's XML has a DTD or entities of its own, which are not read; save it again in Excel and send it anew",
    )
}
