// Every CRM object through supabase-js: its own tenant can, the other cannot.
import assert from "node:assert/strict"
import { createClient } from "@supabase/supabase-js"

const { API_URL, ANON_KEY, OWN, STRONG, FOREIGN, ORGANIZATION, OTHER } = process.env
const connect = (token) =>
  createClient(API_URL, ANON_KEY, {
    accessToken: async () => token,
    global: { fetch: (url, init) => fetch(String(url).replace("/rest/v1", ""), init) },
  })
const own = connect(OWN)
const strong = connect(STRONG)
const foreign = connect(FOREIGN)
const organization_id = ORGANIZATION
const done = []

async function must(query) {
  const { data, error, count } = await query
  assert.equal(error, null, JSON.stringify(error))
  return count ?? data
}
async function refused(query, ...codes) {
  const { data, error } = await query
  assert.ok(error, `not refused: ${JSON.stringify(data)}`)
  assert.ok(codes.includes(error.code), JSON.stringify(error))
}

const company = await must(own.from("companies").insert({ organization_id, name: "JS Ltd" }).select().single())
const person = await must(
  own.from("contacts").insert({ organization_id, first_name: "Jo", company_id: company.id }).select().single(),
)
const thread = await must(
  own.from("conversations").insert({ organization_id, channel: "email", subject: "x" }).select().single(),
)
const call = await must(
  own.from("activities").insert({ organization_id, kind: "call", subject: "x" }).select().single(),
)
const pipeline = await must(own.from("pipelines").insert({ organization_id, name: "JS" }).select().single())
const stage = await must(
  own.from("pipeline_stages").insert({ organization_id, pipeline_id: pipeline.id, name: "one" }).select().single(),
)
const deal = await must(
  own.from("deals").insert({ organization_id, name: "JS deal", pipeline_id: pipeline.id, stage_id: stage.id })
    .select().single(),
)

const tag = await must(own.from("tags").insert({ organization_id, name: "js-tag" }).select().single())
const job = await must(own.from("import_jobs").insert({ organization_id, object: "contact" }).select().single())
const file = crypto.randomUUID()

// The row to make, what to change of it, and the columns that name it beside the organization.
const objects = {
  companies: [{ name: "Made" }, { name: "Changed" }],
  contacts: [{ first_name: "Made", company_id: company.id }, { first_name: "Changed" }],
  deals: [{ name: "Made", company_id: company.id }, { name: "Changed" }],
  deal_contacts: [{ deal_id: deal.id, contact_id: person.id }, { role: "champion" }, "deal_id", "contact_id"],
  activities: [{ kind: "task", subject: "Made", contact_id: person.id }, { subject: "Changed" }],
  conversations: [{ channel: "chat", subject: "Made" }, { subject: "Changed" }],
  messages: [{ conversation_id: thread.id, direction: "inbound", body_text: "Made" }, null],
  call_transcripts: [{ activity_id: call.id, content_html: "<p>Made</p>" }, { content_html: "<p>Changed</p>" }],
  pipelines: [{ name: "Made" }, { name: "Changed" }],
  pipeline_stages: [{ pipeline_id: pipeline.id, name: "Made" }, { name: "Changed" }],
  tags: [{ name: "made-js" }, { name: "changed-js" }],
  company_tags: [{ company_id: company.id, tag_id: tag.id }, null, "company_id", "tag_id"],
  contact_tags: [{ contact_id: person.id, tag_id: tag.id }, null, "contact_id", "tag_id"],
  deal_tags: [{ deal_id: deal.id, tag_id: tag.id }, null, "deal_id", "tag_id"],
  files: [{ id: file, path: `${organization_id}/${file}/a.pdf`, name: "a.pdf" }, { name: "b.pdf" }],
  import_jobs: [{ object: "contact" }, { mapping: { Name: "first_name" } }],
  import_rows: [{ import_job_id: job.id, row_number: 1, data: { Name: "Ann" } }, null, "import_job_id", "row_number"],
  export_jobs: [{ object: "contact" }, null],
  custom_field_definitions: [
    { object: "contact", key: "made_js", label: "Made", type: "text" },
    { label: "Changed" },
  ],
}
for (const [table, [row, change, ...columns]] of Object.entries(objects)) {
  // Exports need a second factor.
  const me = table === "export_jobs" ? strong : own
  const keys = columns.length ? columns : ["id"]
  const mine = (query) => query.eq("organization_id", organization_id)
  const made = await must(me.from(table).insert({ organization_id, ...row }).select().single())
  const key = Object.fromEntries(keys.map((column) => [column, made[column]]))
  const total = await must(mine(me.from(table).select("*", { count: "exact", head: true })).match(key))
  assert.equal(total, 1, table)
  const list = (from, to) =>
    mine(me.from(table).select(`${keys.join()}, organization:organizations!${table}_organization_id_fkey(slug)`))
      .not(keys[0], "is", null).order(keys[0], { ascending: false }).order(keys.at(-1)).range(from, to)
  const listed = await must(list(0, 4))
  assert.ok(listed.length >= 1 && listed[0].organization.slug, table)
  assert.deepEqual(listed.map((item) => item[keys[0]]), listed.map((item) => item[keys[0]]).sort().reverse(), table)
  const second = await must(list(1, 5))
  assert.deepEqual(second.slice(0, 3), listed.slice(1, 4), table)
  // The other tenant names the very record.
  const theirs = (query) => query.match(key)
  assert.deepEqual(await must(theirs(foreign.from(table).select())), [], table)
  assert.equal(await must(theirs(foreign.from(table).select("*", { count: "exact", head: true }))) || 0, 0, table)
  assert.deepEqual(await must(foreign.from(table).select(`organizations!${table}_organization_id_fkey(*)`).eq("organization_id", organization_id)), [])
  await refused(foreign.from(table).insert({ organization_id, ...row }).select(), "42501")
  if (change) {
    await refused(theirs(foreign.from(table).update(change)).select().single(), "PGRST116")
    const changed = await must(mine(me.from(table).update(change)).match(key).select().single())
    for (const [field, value] of Object.entries(change)) assert.deepEqual(changed[field], value)
  }
  assert.deepEqual(await must(theirs(foreign.from(table).delete()).select()), [], table)
  const gone = await must(mine(me.from(table).delete()).match(key).select(keys.join()).single())
  assert.deepEqual(gone, key)
  done.push(table)
}

// Functions: search, tags, stages, completion, imports, merge, bin. The other tenant names the
// records first in their own organization, where they are not, then in this one.
const other = await must(own.from("contacts").insert({ organization_id, first_name: "Jo", last_name: "Two" }).select().single())
async function call_(name, arguments_, client = own) {
  const codes = ["PT403", "PT404", "42501", "23503"]
  await refused(foreign.rpc(name, { organization_id, ...arguments_ }), ...codes)
  if (!name.startsWith("search_"))
    await refused(foreign.rpc(name, { organization_id: OTHER, ...arguments_ }), ...codes)
  return must(client.rpc(name, { organization_id, ...arguments_ }))
}
assert.ok((await call_("search_contacts", { query: "Jo" })).length >= 2)
assert.ok((await call_("search_companies", { query: "JS Ltd" })).length >= 1)
assert.ok((await call_("search_deals", { query: "JS deal" })).length >= 1)
await call_("search_activities", { query: "x" })
await call_("move_deal", { deal_id: deal.id, stage_id: stage.id })
const todo = await must(own.from("activities").insert({ organization_id, kind: "task", subject: "Do" }).select().single())
await call_("complete_activity", { activity_id: todo.id })
await call_("tag_records", { object: "contact", tag_ids: [tag.id], ids: [person.id] })
const tagging = { object: "contact", tag_ids: [tag.id], ids: [person.id] }
// Taking away what one does not see changes nothing.
for (const where of [organization_id, OTHER])
  assert.equal(await must(foreign.rpc("untag_records", { organization_id: where, ...tagging })), 0)
assert.equal(await must(own.rpc("untag_records", { organization_id, ...tagging })), 1)
const merge = await call_("merge_contacts", { survivor_id: person.id, merged_id: other.id })
await call_("soft_delete", { object: "contact", ids: [person.id] })
await call_("restore", { object: "contact", ids: [person.id] })
done.push("functions")
console.log(JSON.stringify(done))
