<?php
/**
 * The two server calls of EventSource HQ's sample chat, in PHP without extensions:
 *
 *   POST /eshq/socket  channel           lets a reader into the channel: {"socket":"…"}
 *   POST /message      nick, msg         sends a line of the chat
 *
 * ESHQ_URL=http://localhost:8080 ESHQ_KEY=… ESHQ_SECRET=… php -S localhost:3000 server.php
 */
declare(strict_types=1);

/** The only channel that this app lets its users into. */
const CHANNEL = 'chat';
const MAX_NICK = 40;
const MAX_MESSAGE = 2000;

/** A request that cannot be answered with success. */
final class Refusal extends Exception
{
    public function __construct(public readonly int $status, string $text)
    {
        parent::__construct($text);
    }
}

/** Calls the hub with the fields and a signature of the time. Returns the JSON it answers. */
function call_hub(string $path, array $fields): string
{
    [$key, $secret, $now] = [getenv('ESHQ_KEY'), getenv('ESHQ_SECRET'), (string) time()];
    $fields += ['key' => $key, 'timestamp' => $now, 'token' => sha1("$key:$secret:$now")];
    $context = stream_context_create(['http' => [
        'method' => 'POST',
        'header' => 'Content-Type: application/x-www-form-urlencoded',
        'content' => http_build_query($fields),
        'timeout' => 5,
        'ignore_errors' => true,
    ]]);
    $answer = @file_get_contents(rtrim(getenv('ESHQ_URL') ?: 'http://localhost:8080', '/') . $path, false, $context);
    $status = $answer === false ? 'nothing' : explode(' ', $http_response_header[0])[1];
    if ($status !== '200') {
        error_log("The hub answered $status: $answer");
        throw new Refusal(502, 'The hub refused the call.');
    }
    return $answer;
}

/** Returns a field of the form, without white space at its ends. */
function required(string $name, int $most): string
{
    $value = $_POST[$name] ?? '';
    if (!is_string($value) || trim($value) === '') {
        throw new Refusal(400, "Missing: $name");
    }
    if (preg_match_all('/./su', trim($value)) > $most) {
        throw new Refusal(400, "Too long: $name");
    }
    return trim($value);
}

/** Lets a user into the channel. An app with accounts looks at the session here. */
function open_socket(): string
{
    if (($_POST['channel'] ?? '') !== CHANNEL) {
        throw new Refusal(403, 'There is no such channel.');
    }
    return call_hub('/socket', ['channel' => CHANNEL]);
}

function send_message(): string
{
    $line = ['nick' => required('nick', MAX_NICK), 'msg' => required('msg', MAX_MESSAGE)];
    $data = json_encode($line, JSON_UNESCAPED_UNICODE | JSON_INVALID_UTF8_SUBSTITUTE);
    return call_hub('/event', ['channel' => CHANNEL, 'data' => $data]);
}

header('X-Content-Type-Options: nosniff');
header('Cache-Control: no-store');
try {
    $answer = match ($_SERVER['REQUEST_METHOD'] . ' ' . parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH)) {
        'POST /eshq/socket' => open_socket(),
        'POST /message' => send_message(),
        default => throw new Refusal(404, 'There is nothing here.'),
    };
    header('Content-Type: application/json; charset=utf-8');
    echo $answer;
} catch (Refusal $refusal) {
    http_response_code($refusal->status);
    header('Content-Type: text/plain; charset=utf-8');
    echo $refusal->getMessage();
}
