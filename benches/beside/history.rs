//! Pages and documents of masters whose histories differ: how long for, and whether more history
//! makes them slower.

use std::fmt::Write as _;

use autobot::fill_history;

use crate::farm::Farm;
use crate::figure::{Better, Figure, Report, Samples};
use crate::{http, ms};

/// Builds in the history of each master: ten times as many, twice.
const SIZES: [usize; 3] = [1_000, 10_000, 100_000];
const BUILDERS: usize = 100;
const SLAVES: usize = 20;
const TIMES: usize = 20;

/// What is asked for, and the names of its rows.
const ADDRESSES: [(&str, [&str; 3]); 5] = [
    ("/", ["page_home_1k", "page_home_10k", "page_home_100k"]),
    (
        "/builders/b7",
        ["page_builder_1k", "page_builder_10k", "page_builder_100k"],
    ),
    (
        "/waterfall",
        [
            "page_waterfall_1k",
            "page_waterfall_10k",
            "page_waterfall_100k",
        ],
    ),
    (
        "/json/builders/b7",
        ["json_builder_1k", "json_builder_10k", "json_builder_100k"],
    ),
    (
        "/api/builds?builder=b7&limit=100",
        ["api_builds_1k", "api_builds_10k", "api_builds_100k"],
    ),
];

pub(crate) fn measure(report: &mut Report) {
    let farms: Vec<Farm> = SIZES.iter().map(|it| told(*it)).collect();
    for (address, names) in ADDRESSES {
        let mut figures: Vec<Figure> = names
            .into_iter()
            .zip(SIZES)
            .map(|(name, size)| {
                let what = format!("`{address}` with {size} builds");
                let mut figure = Figure::new(name, what, "ms", Better::Lower)
                    .with_floor("a file as large from the same server");
                figure.wanted = Some(50.0);
                figure
            })
            .collect();
        for farm in &farms {
            // The first answer warms what is read.
            let warm = http::get(farm.htmlport, address).expect("an answer");
            assert_eq!(warm.status, 200, "{address}");
            let public = farm.master_dir().join("public_html");
            std::fs::write(public.join("floor.bin"), &warm.body).expect("written");
        }
        for _ in 0..TIMES {
            for (farm, figure) in farms.iter().zip(&mut figures) {
                let first = |path| ms(http::get(farm.htmlport, path).expect("an answer").first);
                figure.round(first(address), None, || first("/floor.bin"));
            }
        }
        for figure in figures {
            report.add(figure);
        }
    }
    let mut growth = Figure::new(
        "page_growth",
        "the slowest growth of these from 1,000 to 100,000 builds",
        "times",
        Better::Lower,
    );
    let middle = |report: &Report, name: &str| {
        let figure = report.figures.iter().find(|it| it.name == name);
        figure.map_or(f64::NAN, |it| it.autobot.median())
    };
    let worst = ADDRESSES
        .iter()
        .map(|(_, [least, _, most])| middle(report, most) / middle(report, least))
        .fold(0.0, f64::max);
    growth.autobot = Samples::from_iter([worst]);
    report.add(growth);
}

/// A master with so many builds behind it.
fn told(builds: usize) -> Farm {
    let mut text = String::new();
    for slave in 0..SLAVES {
        let _ = write!(text, "[slave:s{slave}]\npassword = x\n");
    }
    text.push_str("[echo]\ntype = shell\ncommands = true\n");
    for builder in 0..BUILDERS {
        let _ = write!(
            text,
            "[builder:b{builder}]\nfactory = echo\nslaves = s{} s{}\n",
            builder % SLAVES,
            (builder + 1) % SLAVES
        );
    }
    let mut farm = Farm::new(&text);
    fill_history(&farm.master_dir(), builds, 0).expect("a history");
    std::fs::create_dir_all(farm.master_dir().join("public_html")).expect("a directory");
    farm.start_master();
    farm
}
