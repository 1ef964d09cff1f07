//! No bytes a server sends make the planner panic: stored trees, text and binary images of values under mutation.

use weir_planner::catalog::Catalog;
use weir_planner::lower::{lower_statement, lower_view};
use weir_planner::parse::decode_text;
use weir_planner::render::Renderer;
use weir_planner::settings::Settings;
use weir_planner::tree::{parse, references};
use weir_planner::types::{Collation, ColumnType};
use weir_planner::value::{compare, decode_binary, encode_binary};
use weir_tests::hostile::hammer;

const TYPES: [u32; 46] = [
    16, 17, 18, 19, 20, 21, 23, 25, 26, 114, 700, 701, 1042, 1043, 1082, 1083, 1114, 1184, 1186, 1700, 2950, 3802,
    1007, 1009, // Shown by their binary image alone.
    27, 28, 29, 142, 600, 601, 602, 603, 604, 628, 718, 1560, 1562, 1790, 3220, 3614, 4072, 5069, 4451, 4532, 4534,
    4535,
];

#[test]
fn stored_trees() {
    let trees: [&[u8]; 3] = [
        include_bytes!("trees/grouped_15.tree"),
        include_bytes!("trees/grouped_18.tree"),
        include_bytes!("trees/joined_15.tree"),
    ];
    let catalog = Catalog::default();
    hammer("trees", &trees, |bytes| {
        let Ok(text) = std::str::from_utf8(bytes) else { return false };
        let _ = (lower_view(text, &catalog).is_ok(), lower_statement(text, &catalog).is_ok());
        parse(text).map(|tree| references(&tree)).is_ok()
    });
}

/// An accepted value can be rendered, encoded and compared.
#[test]
fn images_of_values() {
    let images: [&[u8]; 14] = [
        b"\0\0\0\x2a",
        b"\0\0\0\0\0\0\0\x2a",
        b"\x40\x09\x21\xfb\x54\x44\x2d\x18",
        b"\0\x02\0\0\0\0\0\x02\0\x01\x13\x88",
        b"\0\0\0\0\xc0\0\0\0",
        b"\0\0\0\x01\0\0\0\0\0\0\0\x17\0\0\0\x02\0\0\0\x01\0\0\0\x04\0\0\0\x01\xff\xff\xff\xff",
        b"\x01{\"a\": [1, null]}",
        b"2024-01-03 05:06:07.25+02",
        b"1 year -2 mons 3 days 04:05:06.7",
        b"-12345678901234567890.000123e-20",
        b"{1,NULL,\"a\\\"b\",{2}}",
        b"infinity",
        b"P1Y2M3DT4H5M6S",
        b"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
    ];
    let settings = Settings::default();
    let renderer = Renderer::new(&settings);
    hammer("images", &images, |bytes| {
        let mut accepted = false;
        for oid in TYPES {
            let binary = decode_binary(oid, bytes).ok();
            let text = std::str::from_utf8(bytes).ok().and_then(|text| decode_text(oid, -1, text, &settings).ok());
            for value in binary.iter().chain(&text) {
                accepted = true;
                let kind = ColumnType { oid, typmod: -1, collation: Collation::Bytes };
                let mut out = Vec::new();
                let _ = (renderer.encode(value, &kind, &mut out).is_ok(), encode_binary(value, oid, &mut out).is_ok());
                assert_eq!(compare(value, value), std::cmp::Ordering::Equal, "{value:?}");
            }
        }
        accepted
    });
}
