package gateway;

import java.time.Duration;
import java.util.List;

/** What the command line sets; a part that is off is null. */
record Settings(
    boolean breaker, int window, float rate, Duration openFor, int probes, Duration timeLimit, Integer bulkhead, boolean fallback) {

  static Settings parse(List<String> words) {
    boolean breaker = true;
    int window = 10;
    float rate = 50;
    Duration openFor = Duration.ofSeconds(1);
    int probes = 3;
    Duration timeLimit = null;
    Integer bulkhead = null;
    boolean fallback = false;
    for (String word : words) {
      String[] pair = word.split("=", 2);
      String value = pair.length == 2 ? pair[1] : "";
      boolean none = value.equals("none");
      switch (pair[0]) {
        case "breaker" -> breaker = on(value);
        case "window" -> window = Integer.parseInt(value);
        case "rate" -> rate = Float.parseFloat(value);
        case "wait" -> openFor = duration(value);
        case "probes" -> probes = Integer.parseInt(value);
        case "timelimit" -> timeLimit = none ? null : duration(value);
        case "bulkhead" -> bulkhead = none ? null : Integer.valueOf(value);
        case "fallback" -> fallback = on(value);
        default -> throw new IllegalArgumentException("unknown setting: " + word);
      }
    }
    return new Settings(breaker, window, rate, openFor, probes, timeLimit, bulkhead, fallback);
  }

  private static boolean on(String value) {
    return switch (value) {
      case "on" -> true;
      case "off" -> false;
      default -> throw new IllegalArgumentException("neither on nor off: " + value);
    };
  }

  private static Duration duration(String value) {
    if (value.endsWith("ms")) {
      return Duration.ofMillis(Long.parseLong(value.substring(0, value.length() - 2)));
    }
    if (value.endsWith("s")) {
      return Duration.ofSeconds(Long.parseLong(value.substring(0, value.length() - 1)));
    }
    throw new IllegalArgumentException("a duration is 500ms or 1s, not " + value);
  }
}
