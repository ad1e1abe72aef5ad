// A trigger in words, where there are plain ones; else as it is written.
import { when } from "./time.js";
import { lang, t } from "./text.js";

const NUMBER = /^\d+$/;
const two = (text) => String(text).padStart(2, "0");

/** "90s" and "1h30m" as people write them. */
const span = (text) => String(text).replace(/(\d+)(ms|[dhms])/g, "$1 $2 ").trim();

/** {text, zone}: what a config's entry says about when it fires. */
export function words(trigger) {
  const zone = trigger.timezone ?? "UTC";
  if (trigger.every !== undefined) return { text: t("everyText", { text: span(trigger.every) }), zone: "" };
  if (trigger.fixed_delay !== undefined)
    return { text: t("delayText", { text: span(trigger.fixed_delay) }), zone: "" };
  if (trigger.at !== undefined) return { text: t("onceText", { text: when(trigger.at, zone) }), zone };
  if (trigger.cron_expr !== undefined) return { text: cron(trigger.cron_expr), zone };
  return { text: "", zone: "" };
}

function cron(expression) {
  const raw = t("cronText", { text: expression });
  const fields = String(expression).trim().split(/\s+/);
  if (fields.length === 6) {
    const [second, ...rest] = fields;
    if (rest.every((one) => one === "*")) {
      if (second === "*") return t("everySecond");
      if (/^\*\/\d+$/.test(second)) return t("everyNSeconds", { n: second.slice(2) });
    }
    return second === "0" ? (plain(rest) ?? raw) : raw;
  }
  return fields.length === 5 ? (plain(fields) ?? raw) : raw;
}

function plain([minute, hour, date, month, weekday]) {
  if (month !== "*") return null;
  const daily = date === "*" && ["*", "?"].includes(weekday);
  if (hour === "*" && daily) {
    if (minute === "*") return t("everyMinute");
    if (minute === "H") return t("hourlySpread");
    if (/^\*\/\d+$/.test(minute)) return t("everyNMinutes", { n: minute.slice(2) });
    if (/^\d+(,\d+){0,5}$/.test(minute)) return t("hourlyAt", { list: minute.replaceAll(",", ", ") });
    return null;
  }
  if (/^\*\/\d+$/.test(hour) && NUMBER.test(minute) && daily)
    return t("everyNHours", { n: hour.slice(2), m: Number(minute) });
  if (!NUMBER.test(minute) || !/^\d+(,\d+){0,3}$/.test(hour)) return null;
  const time = hour
    .split(",")
    .map((one) => `${two(one)}:${two(minute)}`)
    .join(lang.value === "zh" ? "、" : ", ");
  if (daily) return t("dailyAt", { time });
  if (date === "*" && /^(1-5|mon-fri)$/i.test(weekday)) return t("weekdaysAt", { time });
  if (date === "*" && /^[0-7](,[0-7])*$/.test(weekday)) {
    const names = t("weekdayNames").split(" ");
    const days = weekday.split(",").map((one) => names[Number(one) % 7]);
    return t("daysAt", { time, days: days.join(lang.value === "zh" ? "、" : ", ") });
  }
  if (NUMBER.test(date) && ["*", "?"].includes(weekday)) return t("monthlyAt", { time, day: date });
  return null;
}
