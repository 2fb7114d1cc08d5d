//! Every recorded capture request, sent to a server in the surroundings it needs.

use crate::case::{self, Body, Case};
use crate::client::{Answer, Request};
use crate::recorded;
use crate::turn::turns;
use crate::world::{Extra, TOKEN, World, settings};
use event::Resource;
use server::Settings;
use server::settings::TokenMode;
use std::collections::HashSet;

/// The server that a case is sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Usual,
    Many,
    Open,
    Stranger,
    Impatient,
    Full,
    Nowhere,
}

/// Finds it; a new kind of need must be given a place here.
fn place(case: &Case) -> Place {
    if case.not_over_http.is_some() {
        return Place::Nowhere;
    }
    let mut place = if case.count.is_some() { Place::Many } else { Place::Usual };
    for need in &case.needs {
        place = match need.as_str() {
            "open" => Place::Open,
            "untrusted-peer" => Place::Stranger,
            "stall" => Place::Impatient,
            "sink-down" => Place::Full,
            "http" | "large" | "replay" | "v1" | "ai" | "config" | "cookieless" | "dedup" | "enforce"
            | "trusted-peer" => place,
            quota if quota.starts_with("quota:") => place,
            other => panic!("{}: no server offers {other}", case.id),
        };
    }
    place
}

fn tune(place: Place) -> Settings {
    let mut settings = settings();
    match place {
        Place::Usual | Place::Many | Place::Nowhere => {}
        Place::Open => settings.capture.token_mode = TokenMode::Open,
        Place::Stranger => settings.server.trusted_proxies.clear(),
        Place::Impatient => settings.server.body_timeout_ms = 200,
        // More than any disk has free.
        Place::Full => settings.log.min_free_bytes = u64::MAX,
    }
    settings
}

fn exhausted(case: &Case) -> Vec<Resource> {
    let quotas = case.needs.iter().filter_map(|need| need.strip_prefix("quota:"));
    quotas
        .map(|name| match name {
            "events" => Resource::Events,
            "exceptions" => Resource::Exceptions,
            "recordings" => Resource::Recordings,
            other => panic!("{}: no such quota: {other}", case.id),
        })
        .collect()
}

type Turn = crate::turn::Turn<Case>;

fn replay(place_wanted: Place) -> usize {
    let cases: Vec<Case> = case::all().into_iter().filter(|case| place(case) == place_wanted).collect();
    assert!(!cases.is_empty());
    let settings = tune(place_wanted);
    let (folder, mut turns) =
        turns(&settings, cases, |case, extra| Extra { exhausted: exhausted(case), ..extra });
    for turn in &mut turns {
        if turn.case.needs("open") {
            // An unknown key makes the project after all others.
            (turn.key, turn.project) = (TOKEN.to_owned(), turn.project + 1);
        } else if turn.case.has_fixed_key() {
            (turn.key, turn.project) = (TOKEN.to_owned(), 1);
        }
    }
    let world = folder.start(settings);
    let wrong = run(world, place_wanted, &turns);
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), turns.len(), wrong.join("\n"));
    turns.len()
}

fn run(world: World, place: Place, turns: &[Turn]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut complain = |turn: &Turn, reason: Result<(), String>| {
        if let Err(reason) = reason {
            wrong.push(format!("{} {}: {reason}", turn.case.id, turn.case.title));
        }
    };
    let mut of_first = HashSet::new();
    for turn in turns {
        let request = turn.case.request(&turn.key);
        for _ in 0..turn.case.request.times {
            let answer = exchange(&world, turn, &request);
            complain(turn, answer.and_then(|answer| turn.case.check(&answer, &turn.key)));
        }
        if turn.project == 1 {
            world.fence();
            let found = recorded::events(&world, 1, &mut of_first);
            complain(turn, recorded::check_events(&turn.case, &turn.key, found));
        }
    }
    if place != Place::Full {
        world.fence();
    }
    let mut replays = Vec::new();
    for turn in turns.iter() {
        let expect = &turn.case.expect;
        if turn.project != 1 && expect.events.is_some() {
            let found = recorded::events(&world, turn.project, &mut HashSet::new());
            complain(turn, recorded::check_events(&turn.case, &turn.key, found));
            complain(turn, recorded::check_warnings(&turn.case, &world, turn.project));
        }
        if turn.case.persons.is_some() {
            let found = world.ask(turn.project, "SELECT id FROM persons LIMIT 10");
            complain(turn, if found.is_empty() { Ok(()) } else { Err(format!("persons {found:?}")) });
        }
        if let Some(count) = turn.case.count {
            let found = &world.ask(turn.project, "SELECT count(*) FROM events")[0][0];
            let wrong = (*found != count).then(|| format!("{found} events instead of {count}"));
            complain(turn, wrong.map_or(Ok(()), Err));
        }
        if expect.recordings.is_some() {
            replays.push((turn, recorded::replay_rows(&world, turn.project)));
        }
    }
    // Blocks are written by the last commit.
    let _folder = world.stop();
    for (turn, rows) in replays {
        complain(turn, recorded::check_recordings(&turn.case, &turn.key, &rows));
    }
    wrong
}

fn exchange(world: &World, turn: &Turn, request: &Request) -> Result<Answer, String> {
    if let Some(Body::Stall { content_length, .. }) = &turn.case.request.body {
        let mut connection = world.connect();
        let head = request.head(Some(*content_length)).into_bytes();
        let begun = [head, request.body.clone().unwrap_or_default()].concat();
        return connection.write(&begun).and_then(|()| connection.read()).map_err(|e| e.to_string());
    }
    world.connect().send(request).map_err(|error| error.to_string())
}

#[test]
fn cases_of_a_server_as_it_comes() {
    assert!(replay(Place::Usual) >= 290);
}

#[test]
fn cases_of_many_events() {
    replay(Place::Many);
}

#[test]
fn cases_of_an_open_server() {
    replay(Place::Open);
}

#[test]
fn cases_from_a_stranger() {
    replay(Place::Stranger);
}

#[test]
fn cases_of_a_server_that_does_not_wait() {
    replay(Place::Impatient);
}

#[test]
fn cases_of_a_full_log() {
    assert_eq!(replay(Place::Full), 2);
}

#[test]
fn what_cannot_be_sent_says_why() {
    let cases = case::all();
    let nowhere: Vec<&Case> = cases.iter().filter(|case| place(case) == Place::Nowhere).collect();
    let ids: Vec<&str> = nowhere.iter().map(|case| case.id.as_str()).collect();
    assert_eq!(ids, ["91"], "of {} cases", cases.len());
    assert!(nowhere.iter().all(|case| case.not_over_http.as_ref().is_some_and(|why| why.len() > 40)));
}
