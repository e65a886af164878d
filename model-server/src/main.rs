//! The `model-server` command.

fn main() -> std::process::ExitCode {
    tacit_model_server::app::main()
}
