use super::*;

#[test]
fn messages_name_file_expected_and_found() {
    let file = PathBuf::from("data/train-images-idx3-ubyte");
    let error = DatasetError::WrongMagic { file, expected: 0x803, found: 0x8950_4e47 };
    assert_eq!(
        error.to_string(),
        "data/train-images-idx3-ubyte: not an IDX file: \
         expected the magic number 0x00000803, found 0x89504e47"
    );
}

#[test]
fn an_empty_folder_is_described_in_words() {
    let error = DatasetError::MissingFile {
        folder: PathBuf::from("data"),
        wanted: "labels".to_string(),
        accepted: "x".to_string(),
        found: Vec::new(),
    };
    assert!(error.to_string().ends_with("found nothing"));
}

#[test]
fn the_error_can_cross_threads() {
    fn check<T: Send + Sync + 'static>() {}
    check::<DatasetError>();
}
