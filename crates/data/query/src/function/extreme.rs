//! `min` and `max` of properties: numbers by value, texts by their letters.

use std::cmp::Ordering;

use arrow::{
    array::{ArrayRef, AsArray},
    compute::cast,
    datatypes::DataType,
};
use datafusion::{
    common::{Result, ScalarValue},
    logical_expr::{
        Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility, function::AccumulatorArgs,
    },
};

use super::read::number;

/// The smallest or greatest text. Texts that spell numbers compare as numbers and come before all
/// others, so that 9 is smaller than 10 and `max` of mixed values is a text.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Extreme {
    greatest: bool,
    signature: Signature,
}

/// `min` or `max` over properties.
pub(super) fn of(greatest: bool) -> AggregateUDF {
    AggregateUDF::from(Extreme { greatest, signature: Signature::any(1, Volatility::Immutable) })
}

impl AggregateUDFImpl for Extreme {
    fn name(&self) -> &str {
        if self.greatest { "property_max" } else { "property_min" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn accumulator(&self, _: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Best { greatest: self.greatest, text: None, value: None }))
    }
}

/// The best text so far and the number it spells.
#[derive(Debug)]
struct Best {
    greatest: bool,
    text: Option<String>,
    value: Option<f64>,
}

impl Best {
    fn meet(&mut self, text: &str) {
        let value = number(text);
        let order = match &self.text {
            None => Ordering::Greater,
            Some(best) => {
                let found = compare((value, text), (self.value, best));
                if self.greatest { found } else { found.reverse() }
            }
        };
        if order == Ordering::Greater {
            self.text = Some(text.to_owned());
            self.value = value;
        }
    }
}

fn compare(a: (Option<f64>, &str), b: (Option<f64>, &str)) -> Ordering {
    match (a.0, b.0) {
        (Some(x), Some(y)) => x.total_cmp(&y),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => a.1.cmp(b.1),
    }
}

impl Accumulator for Best {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for array in values {
            let texts = cast(array, &DataType::Utf8View)?;
            texts.as_string_view().iter().flatten().for_each(|text| self.meet(text));
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Utf8View(self.text.clone()))
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.text.as_ref().map_or(0, String::capacity)
    }
}

#[cfg(test)]
mod tests {
    use super::Best;

    fn best(greatest: bool, texts: &[&str]) -> Option<String> {
        let mut best = Best { greatest, text: None, value: None };
        texts.iter().for_each(|text| best.meet(text));
        best.text
    }

    #[test]
    fn numbers_go_by_value_and_before_texts() {
        assert_eq!(best(true, &["9", "10", "-3"]).as_deref(), Some("10"));
        assert_eq!(best(false, &["9", "10", "-3"]).as_deref(), Some("-3"));
        assert_eq!(best(true, &["Chrome", "Firefox", "10"]).as_deref(), Some("Firefox"));
        assert_eq!(best(false, &["Chrome", "Firefox"]).as_deref(), Some("Chrome"));
        assert_eq!(best(false, &[]), None);
    }
}
