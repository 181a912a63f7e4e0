//! Requests and their responses. Each side numbers its own requests; responses may overtake each
//! other.

use super::Garbled;
use super::value;
use crate::wire::pb::jelly::Value;

/// What one message says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Said {
    Request {
        number: i64,
        op: String,
        /// The whole message.
        fields: Value,
    },
    Response {
        number: i64,
        /// `Err`: what went wrong, for people.
        result: Result<Value, String>,
    },
    /// A map without a number or without an `op`, to which nobody answers.
    Nothing,
}

pub(crate) fn read(bytes: &[u8]) -> Result<Said, Garbled> {
    let mut message = value::read(bytes)?;
    let Value::Dict(pairs) = &message else {
        return Err(Garbled::Mapless);
    };
    let is = |it: &Value, key: &str| matches!(it, Value::Text(text) if text == key);
    let result = pairs.iter().position(|(key, _)| is(key, "result"));
    let (Some(op), Some(Value::Int(number))) = (
        message.get("op").and_then(Value::as_text),
        message.get("seq_number"),
    ) else {
        return Ok(Said::Nothing);
    };
    let number = *number;
    if op != "response" {
        let fields = message;
        return Ok(Said::Request { number, op, fields });
    }
    // Its mere presence says it.
    let is_exception = message.get("is_exception").is_some();
    let result = match (&mut message, result) {
        (Value::Dict(pairs), Some(place)) => pairs.swap_remove(place).1,
        _ => Value::None,
    };
    let result = match is_exception {
        true => Err(result.as_text().unwrap_or_default()),
        false => Ok(result),
    };
    Ok(Said::Response { number, result })
}

/// A request as it goes over the line.
pub(crate) fn request(number: i64, op: &str, fields: Vec<(&str, Value)>) -> Vec<u8> {
    let mut pairs = vec![(Value::text("op"), Value::text(op))];
    let fields = fields.into_iter();
    pairs.extend(fields.map(|(key, value)| (Value::text(key), value)));
    pairs.push((Value::text("seq_number"), Value::Int(number)));
    packed(&Value::Dict(pairs))
}

/// A response as it goes over the line.
pub(crate) fn response(number: i64, result: Result<Value, String>) -> Vec<u8> {
    let (result, is_exception) = match result {
        Ok(value) => (value, false),
        Err(why) => (Value::Text(why), true),
    };
    let mut pairs = vec![
        (Value::text("op"), Value::text("response")),
        (Value::text("seq_number"), Value::Int(number)),
        (Value::text("result"), result),
    ];
    if is_exception {
        pairs.push((Value::text("is_exception"), Value::Bool(true)));
    }
    packed(&Value::Dict(pairs))
}

fn packed(message: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    value::write(message, &mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(message: &Value) -> Result<Said, Garbled> {
        read(&packed(message))
    }

    #[test]
    fn requests_and_responses_read_back() {
        let fields = vec![("command_id", Value::text("7"))];
        let Said::Request { number, op, fields } = read(&request(3, "complete", fields)).unwrap()
        else {
            panic!()
        };
        assert_eq!((number, op.as_str()), (3, "complete"));
        assert_eq!(fields.get("command_id"), Some(&Value::text("7")));
        for result in [
            Ok(Value::None),
            Ok(Value::Bytes(vec![0, 0xff])),
            Err("no".to_owned()),
        ] {
            let said = read(&response(9, result.clone())).unwrap();
            assert_eq!(said, Said::Response { number: 9, result });
        }
    }

    #[test]
    fn what_has_no_number_or_no_word_is_nothing_and_what_is_no_map_ends_the_line() {
        assert_eq!(of(&Value::dict([])), Ok(Said::Nothing));
        assert_eq!(
            of(&Value::dict([("op", Value::text("print"))])),
            Ok(Said::Nothing)
        );
        assert_eq!(
            of(&Value::dict([("seq_number", Value::Int(1))])),
            Ok(Said::Nothing)
        );
        let word = [
            ("op", Value::text("print")),
            ("seq_number", Value::text("1")),
        ];
        assert_eq!(of(&Value::dict(word)), Ok(Said::Nothing));
        assert_eq!(of(&Value::List(vec![])), Err(Garbled::Mapless));
        let bare = [
            ("op", Value::text("response")),
            ("seq_number", Value::Int(1)),
        ];
        let result = Ok(Value::None);
        assert_eq!(
            of(&Value::dict(bare)),
            Ok(Said::Response { number: 1, result })
        );
    }
}
