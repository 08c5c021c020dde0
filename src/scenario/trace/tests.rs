use super::*;

const AZURE: &str = "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.6805900,374,44\n2023-11-16 18:15:50.9951690,396,109\r\n";
const BURSTGPT: &str = "Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log Type\n\
    5.0,1,2.0,ChatGPT,472,18,490,Conversation log\n45.5,2,,\"GPT-4\",1087,0,1087,\"API log, old\"\n";
const MOONCAKE: &str = "{\"timestamp\": 27482, \"input_length\": 1055, \"output_length\": 52, \"hash_ids\": [46, 47, 2366]}\n\
    {\"timestamp\": 30535, \"input_length\": 512, \"output_length\": 26, \"hash_ids\": [46]}\n";

fn request(millis: u64, input: u32, output: u32, blocks: &[u64]) -> TracedRequest {
    let stated = |n| Some(n).filter(|n| *n > 0);
    TracedRequest {
        at: Span(Duration::from_micros(millis)),
        input: stated(input),
        output: stated(output),
        blocks: blocks.to_vec(),
    }
}

#[test]
fn each_format_is_told_from_its_content() {
    let azure = read(AZURE, None).expect("Azure's");
    assert_eq!(
        azure,
        (TraceFormat::Azure, vec![request(0, 374, 44, &[]), request(4_314_579, 396, 109, &[])])
    );
    let burst = read(BURSTGPT, None).expect("BurstGPT's");
    assert_eq!(
        burst,
        (TraceFormat::Burstgpt, vec![request(0, 472, 18, &[]), request(40_500_000, 1087, 0, &[])]),
        "a failed request is an arrival"
    );
    let mooncake = read(MOONCAKE, None).expect("Mooncake's");
    let rows = vec![request(0, 1055, 52, &[46, 47, 2366]), request(3_053_000, 512, 26, &[46])];
    assert_eq!(mooncake, (TraceFormat::Mooncake, rows));
}

#[test]
fn wrong_rows_are_named_with_their_place() {
    let errors = |text: &str, format| read(text, format).expect_err("it is wrong");
    let told = |text: &str| -> Vec<(String, String)> {
        errors(text, None).into_iter().map(|e| (text[e.bytes].to_owned(), e.message)).collect()
    };
    let text = AZURE.replace("374", "many").replace("2023-11-16 18:15:50.9951690", "noon");
    let found = told(&text);
    assert_eq!(found[0], ("many".to_owned(), "`many` is not a number of tokens".to_owned()));
    assert!(found[1].0 == "noon" && found[1].1.contains("not a time"), "{found:?}");
    assert!(told(&AZURE.replace(",374,44", ""))[0].1.contains("1 of 3 columns"));
    let found = told(&MOONCAKE.replace("\"output_length\": 26", "\"output\": 26"));
    assert!(found[0].1.contains("missing field `output_length`"), "{found:?}");
    assert!(told(&MOONCAKE.replace("512", "513"))[0].1.contains("2 blocks of 512, and there are 1"));
    assert!(told("a,b,c\n1,2,3\n")[0].1.contains("no trace that is known"));
    assert!(told("TIMESTAMP,ContextTokens,GeneratedTokens\n")[0].1.contains("no request"));
    assert!(errors(AZURE, Some(TraceFormat::Burstgpt))[0].message.contains("no column `Request tokens`"));
    let many = format!("TIMESTAMP,ContextTokens,GeneratedTokens\n{}", "x,1,1\n".repeat(50));
    let found = told(&many);
    assert!(found.len() == REPORTED && found[9].1.contains("40 more"), "{found:?}");
}

#[test]
fn requests_read_back_as_they_are_written_in_a_plan() {
    for text in [AZURE, BURSTGPT, MOONCAKE] {
        for request in read(text, None).expect("a trace").1 {
            let json = serde_json::to_string(&request).expect("JSON");
            assert_eq!(serde_json::from_str::<TracedRequest>(&json).expect("a request"), request, "{json}");
        }
    }
    assert!("1 2".parse::<TracedRequest>().is_err());
}
