// @ts-check
/** Sentences in the language of the page. English needs no catalogue; for another language the page loads one before every
 * script (`Language.script`). Values stand in a sentence by name, as `{time}`; a sentence is never put together from pieces. */

/** @typedef {Record<string, string|number>} Values */
/** @type {{language: string, forms: Record<string, number>, messages: Record<string, string|string[]>}|undefined} */
const catalogue = /** @type {any} */ (globalThis).switchhookMessages;
const rules = catalogue && new Intl.PluralRules(catalogue.language);

/** @param {string} text @param {Values} values */
const fill = (text, values) => text.replace(/\{(\w+)\}/g, (place, name) => (name in values ? String(values[name]) : place));

/** One sentence. @param {string} message in English @param {Values} [values] */
export function _(message, values = {}) {
  const said = catalogue?.messages[message];
  return fill(typeof said === "string" && said ? said : message, values);
}

/** The sentence for so many things, which stand in it as `{n}`.
 * @param {string} one in English @param {string} many @param {number} n @param {Values} [values] */
export function ngettext(one, many, n, values = {}) {
  const forms = catalogue?.messages[one];
  const said = rules && Array.isArray(forms) ? forms[catalogue?.forms[rules.select(n)] ?? forms.length - 1] : "";
  return fill(said || (n === 1 ? one : many), { n, ...values });
}

/** How dates and numbers are written here; English as the server does, the day first. */
export const language = catalogue?.language ?? "en-GB";
