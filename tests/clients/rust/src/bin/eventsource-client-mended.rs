//! eventsource-client, read on after an error: it is coming back then.

use eventsource_client::{Client, ClientBuilder, SSE};
use futures::StreamExt;
use launchdarkly_sdk_transport::HyperTransport;
use tiny_chat_clients::{address, report};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let transport = HyperTransport::builder().build_http()?;
    let client = ClientBuilder::for_url(&address())?.build_with_transport(transport);
    let mut stream = client.stream();
    while let Some(event) = stream.next().await {
        match event {
            Ok(SSE::Event(event)) if event.event_type == "message" => {
                report(&event.id.unwrap_or_default(), &event.data)
            }
            _ => {}
        }
    }
    Ok(())
}
