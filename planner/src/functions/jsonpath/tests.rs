//! Images as Postgres 15 wrote them (`pg_attrdef.adbin` of a default), and what is made of others. What paths find is compared with
//! Postgres in `tests/tests/jsonpath`.

use super::*;
use weir_tests::hostile::hammer;

/// `$.a[*] ? (@ > 1 && exists(@.b)).size()`
const FILTERED: &[u8] =
    b"\x01\0\0\x80\x1b\0\0\0\x08\0\0\0\x19\0\0\0\x0e\0\0\0\x01\0\0\0a\0\x15\0\x06\0\0\0\x1d\0\0\0f\0\0\0\x0c\0\0\
      \0\x04\0\0\0\0\0\0\0\x10\0\0\x008\0\0\0\x0b\0\0\0\0\0\0\0\x10\0\0\0\x18\0\0\0\x1a\0\0\0\0\0\0\0\x02\0\0\0\
      \0\0\0\0 \0\0\0\0\x80\x01\0\x1e\0\0\0\0\0\0\0\x0c\0\0\0\x1a\0\0\0\x08\0\0\0\x19\0\0\0\0\0\0\0\x01\0\0\0b\0 \
      \0\0\0\0\0";
/// `strict $.**{1 to last}[1 to last - 1, 0] starts with "x" || ($ like_regex "a.b" flag "i") is unknown`
const STRICT: &[u8] =
    b"\x01\0\0\0\x05\0\0\0\0\0\0\0\x10\0\0\0\xa6\0\0\0)\0\0\0\0\0\0\0\x10\0\0\0\x8a\0\0\0\x1b\0\0\0\x08\0\0\0\
      \x18\0\0\0\x10\0\0\0\x01\0\0\0\xff\xff\xff\xff\x17\0\0\0\0\0\0\0\x02\0\0\0\x1c\0\0\0,\0\0\0T\0\0\0\0\0\0\0\
      \x02\0\0\0\0\0\0\0 \0\0\0\0\x80\x01\0\x0f\0\0\0\0\0\0\0\x10\0\0\0\x18\0\0\0(\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\
      \0 \0\0\0\0\x80\x01\0\x02\0\0\0\0\0\0\0\x18\0\0\0\0\x80\x01\0\0\0\0\0\x01\0\0\0x\0\x07\0\0\0\0\0\x0a\0\0\0\
      *\0\0\0\0\0\0\0\x01\0\0\0\x18\0\0\0\x03\0\0\0a.b\0\x1b\0\0\0\0\0\0\0";
/// `-$."é\n"[last] + 12.50 * 3e10`
const COMPUTED: &[u8] =
    b"\x01\0\0\x80\x0e\0\0\0\0\0\0\0\x10\0\0\0P\0\0\0\x14\0\0\0\0\0\0\0\x0c\0\0\0\x1b\0\0\0\x08\0\0\0\x19\0\0\0\
      \x10\0\0\0\x03\0\0\0\xc3\xa9\x0a\0\x17\0\0\0\0\0\0\0\x01\0\0\0\x14\0\0\0\0\0\0\0(\0\0\0\0\0\0\0\x10\0\0\0\
      \0\0\0\0\x10\0\0\0\x22\0\0\0\x02\0\0\0\0\0\0\0(\0\0\0\0\x81\x0c\0\x88\x13\x02\0\0\0\0\0 \0\0\0\x02\x80,\
      \x01";
/// `($ == true && !(null == "q")).type()`
const TYPED: &[u8] =
    b"\x01\0\0\x80\x04\0\0\0b\0\0\0\x10\0\0\x001\0\0\0\x08\0\0\0\0\0\0\0\x10\0\0\0\x18\0\0\0\x1b\0\0\0\0\0\0\0\
      \x03\0\0\0\0\0\0\0\x01\x06\0\0\0\0\0\0\x0b\0\0\0\x08\0\0\0\0\0\0\0\x10\0\0\0\x18\0\0\0\0\0\0\0\0\0\0\0\x01\
      \0\0\0\0\0\0\0\x01\0\0\0q\0\x1f\0\0\0\0\0";

fn call<'c>(json: &'c str, path: &'c Arc<[u8]>) -> Call<'c> {
    Call { json, path, silent: true, letters: -1 }
}

#[test]
fn images_are_read() {
    for (image, json, expected) in [
        (FILTERED, r#"{"a": [1, {"b": 1}, 2]}"#, "[]"),
        (FILTERED, r#"{"a": {"b": 1}}"#, "[]"),
        (STRICT, r#"{"a": [["x"], "y"]}"#, "[true]"),
        (STRICT, r#"[["y", 1], "z"]"#, "[true]"),
        (COMPUTED, r#"{"é\n": [1, 2.5]}"#, "[374999999997.50]"),
        (COMPUTED, r#"{"é\n": []}"#, "[]"),
        (TYPED, "true", r#"["boolean"]"#),
    ] {
        let image = Arc::from(image);
        assert_eq!(call(json, &image).as_array(), Ok(image_of(expected)), "{json}");
    }
}

/// Whatever a path looks like, it is run to an end.
#[test]
fn no_image_does_harm() {
    let nested = format!("{}1{}", "[".repeat(1_000), "]".repeat(1_000));
    let documents = [r#"{"a": [1, {"b": [1, null, "x"]}], "b": {"a": -2.5}}"#, "[[1, 2], \"x\", {}]", "null", &nested];
    hammer("jsonpaths", &[FILTERED, STRICT, COMPUTED, TYPED], |bytes| {
        let image: Arc<[u8]> = bytes.into();
        for json in documents {
            let call = call(json, &image);
            let _ = (call.exists(), call.is_true(), call.as_array(), call.first());
        }
        obstacle(bytes).is_none()
    });
}

/// `$.**.**.**.**.**.**`
#[test]
fn what_takes_too_long_is_refused() {
    let anywhere = |next: u8| [24, 0, 0, 0, next, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255];
    let mut image = vec![1, 0, 0, 0x80, 27, 0, 0, 0, 8, 0, 0, 0];
    (0..5).for_each(|_| image.extend(anywhere(16)));
    image.extend(anywhere(0));
    let image = Arc::from(image);
    let json = format!("{}1{}", "[".repeat(200), "]".repeat(200));
    assert!(call(&json, &image).as_array().is_err_and(|error| error.is_unsupported()));
    assert_eq!(call(&json, &image).exists(), Ok(Bool(true)), "the first is enough");
}
