fn main() {
    for crd in rempart::api::crds() {
        println!("---\n{}", serde_saphyr::to_string(&crd).unwrap());
    }
}
