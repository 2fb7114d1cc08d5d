//! What came out: one JSON line per figure, and a table of all of them at the end.

use serde_json::{Value, json};

/// What a figure must be.
#[derive(Clone, Copy, Debug)]
pub enum Goal {
    /// More is better.
    AtLeast(f64),
    /// Less is better.
    AtMost(f64),
    /// Only told.
    None,
}

/// One figure over all rounds.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The goal it belongs to, such as `P1`.
    pub id: &'static str,
    /// What was measured, with its unit.
    pub metric: String,
    /// Ours, by round.
    pub ours: Vec<f64>,
    /// The bare server's, by round; empty where there is nothing to compare with.
    pub floor: Vec<f64>,
    /// Server CPU per event of ours, by round, in microseconds; empty where events are not what is measured.
    pub cpu_us: Vec<f64>,
    /// Others, by name: what they did in the same session, or why there is no figure.
    pub peers: Vec<(&'static str, Result<f64, String>)>,
    /// What must be reached.
    pub goal: Goal,
    /// What else must be known.
    pub note: String,
}

impl Verdict {
    /// A figure of ours alone.
    pub fn of(id: &'static str, metric: impl Into<String>, ours: Vec<f64>, goal: Goal) -> Self {
        let (metric, note) = (metric.into(), String::new());
        Self { id, metric, ours, floor: Vec::new(), cpu_us: Vec::new(), peers: Vec::new(), goal, note }
    }

    /// The same with something to know beside it.
    #[must_use]
    pub fn noting(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    /// Whether the goal was reached; `None` when there is none.
    pub fn met(&self) -> Option<bool> {
        let ours = median(&self.ours)?;
        match self.goal {
            Goal::AtLeast(goal) => Some(ours >= goal),
            Goal::AtMost(goal) => Some(ours <= goal),
            Goal::None => None,
        }
    }

    /// Id and metric.
    pub fn title(&self) -> String {
        format!("{} {}", self.id, self.metric)
    }

    fn goal(&self) -> Option<f64> {
        match self.goal {
            Goal::AtLeast(goal) | Goal::AtMost(goal) => Some(goal),
            Goal::None => None,
        }
    }

    fn ratio(&self) -> Option<f64> {
        Some(median(&self.ours)? / median(&self.floor).filter(|floor| *floor > 0.0)?)
    }

    /// The JSON line.
    pub fn line(&self) -> Value {
        let peers: serde_json::Map<String, Value> = self
            .peers
            .iter()
            .map(|(name, found)| {
                (
                    (*name).to_owned(),
                    found.as_ref().map_or_else(|why| json!(why), |value| json!(rounded(*value))),
                )
            })
            .collect();
        let mut ours = figure(&self.ours);
        ours["cpu_us_per_event"] = median(&self.cpu_us).map(rounded).into();
        json!({
            "id": self.id, "metric": self.metric, "ours": ours, "floor": figure(&self.floor), "peers": peers,
            "ratio": self.ratio().map(rounded), "goal": self.goal(), "met": self.met(), "note": self.note,
        })
    }
}

fn figure(values: &[f64]) -> Value {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    match median(values) {
        Some(middle) => json!({"median": rounded(middle), "spread": [rounded(least), rounded(most)]}),
        None => json!({"median": null}),
    }
}

/// Prints every figure in one line.
pub fn print(verdicts: &[Verdict]) {
    println!("\n{:<5}{:<52}{:>12}{:>12}{:>12}{:>7}  others", "", "", "floor", "ours", "goal", "met");
    for one in verdicts {
        let short = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), short);
        let met = one.met().map_or("-", |met| if met { "yes" } else { "NO" });
        let goal = match one.goal {
            Goal::AtLeast(goal) => format!(">= {}", self::short(goal)),
            Goal::AtMost(goal) => format!("<= {}", self::short(goal)),
            Goal::None => "-".to_owned(),
        };
        let others: Vec<String> = one
            .peers
            .iter()
            .map(|(name, found)| {
                format!("{name}: {}", found.as_ref().map_or_else(Clone::clone, |v| self::short(*v)))
            })
            .collect();
        let (floor, ours) = (short(median(&one.floor)), short(median(&one.ours)));
        println!(
            "{:<5}{:<52}{floor:>12}{ours:>12}{goal:>12}{met:>7}  {}",
            one.id,
            one.metric,
            others.join("; ")
        );
        if !one.note.is_empty() {
            println!("{:<5}{}", "", one.note);
        }
    }
}

fn short(value: f64) -> String {
    if value >= 1000.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

/// The value in the middle.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}

fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn a_goal_is_met_from_its_own_side() {
        let met = |goal| Verdict::of("P0", "x", vec![2.0, 9.0, 3.0], goal).met();
        assert_eq!((met(Goal::AtLeast(3.0)), met(Goal::AtLeast(3.1))), (Some(true), Some(false)));
        assert_eq!((met(Goal::AtMost(3.0)), met(Goal::AtMost(2.9))), (Some(true), Some(false)));
        assert_eq!(met(Goal::None), None);
    }
}
