// Every CRM object through supabase-js: its own tenant can, the other cannot.
import assert from "node:assert/strict"
import { createClient } from "@supabase/supabase-js"

const { API_URL, ANON_KEY, OWN, FOREIGN, ORGANIZATION, OTHER } = process.env
const connect = (token) =>
  createClient(API_URL, ANON_KEY, {
    accessToken: async () => token,
    global: { fetch: (url, init) => fetch(String(url).replace("/rest/v1", ""), init) },
  })
const own = connect(OWN)
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

const objects = {
  companies: [{ name: "Made" }, { name: "Changed" }],
  contacts: [{ first_name: "Made", company_id: company.id }, { first_name: "Changed" }],
  deals: [{ name: "Made", company_id: company.id }, { name: "Changed" }],
  activities: [{ kind: "task", subject: "Made", contact_id: person.id }, { subject: "Changed" }],
  conversations: [{ channel: "chat", subject: "Made" }, { subject: "Changed" }],
  messages: [{ conversation_id: thread.id, direction: "inbound", body_text: "Made" }, null],
  call_transcripts: [{ activity_id: call.id, content_html: "<p>Made</p>" }, { content_html: "<p>Changed</p>" }],
  pipelines: [{ name: "Made" }, { name: "Changed" }],
  pipeline_stages: [{ pipeline_id: pipeline.id, name: "Made" }, { name: "Changed" }],
  tags: [{ name: "made-js" }, { name: "changed-js" }],
  custom_field_definitions: [
    { object: "contact", key: "made_js", label: "Made", type: "text" },
    { label: "Changed" },
  ],
}
for (const [table, [row, change]] of Object.entries(objects)) {
  const mine = (query) => query.eq("organization_id", organization_id)
  const made = await must(own.from(table).insert({ organization_id, ...row }).select().single())
  const total = await must(
    mine(own.from(table).select("*", { count: "exact", head: true })).eq("id", made.id),
  )
  assert.equal(total, 1, table)
  const listed = await must(
    mine(own.from(table).select(`id, organization:organizations!${table}_organization_id_fkey(slug)`))
      .order("created_at", { ascending: false }).order("id").range(0, 4),
  )
  assert.ok(listed.length >= 1 && listed[0].organization.slug, table)
  // The other tenant names the very record.
  assert.deepEqual(await must(foreign.from(table).select().eq("id", made.id)), [], table)
  assert.deepEqual(await must(foreign.from(table).select(`id, organizations!${table}_organization_id_fkey(*)`).eq("organization_id", organization_id)), [])
  await refused(foreign.from(table).insert({ organization_id, ...row }).select(), "42501")
  if (change) {
    await refused(foreign.from(table).update(change).eq("id", made.id).select().single(), "PGRST116")
    const changed = await must(mine(own.from(table).update(change)).eq("id", made.id).select().single())
    for (const [field, value] of Object.entries(change)) assert.equal(changed[field], value)
  }
  assert.deepEqual(await must(foreign.from(table).delete().eq("id", made.id).select()), [], table)
  const gone = await must(mine(own.from(table).delete()).eq("id", made.id).select("id").single())
  assert.equal(gone.id, made.id)
  done.push(table)
}

// Functions: search, tags, stages, completion, merge, bin.
const arguments_ = { organization_id }
const other = await must(own.from("contacts").insert({ organization_id, first_name: "Jo", last_name: "Two" }).select().single())
assert.ok((await must(own.rpc("search_contacts", { ...arguments_, query: "Jo" }))).length >= 2)
await refused(foreign.rpc("search_contacts", { ...arguments_, query: "Jo" }), "PT403")
await must(own.rpc("move_deal", { ...arguments_, deal_id: deal.id, stage_id: stage.id }))
await refused(foreign.rpc("move_deal", { ...arguments_, deal_id: deal.id, stage_id: stage.id }), "PT403", "PT404")
await refused(foreign.rpc("move_deal", { organization_id: OTHER, deal_id: deal.id, stage_id: stage.id }), "PT404")
const merge = { survivor_id: person.id, merged_id: other.id }
await refused(foreign.rpc("merge_contacts", { ...arguments_, ...merge }), "PT403", "PT404")
await refused(foreign.rpc("merge_contacts", { organization_id: OTHER, ...merge }), "PT404")
await must(own.rpc("merge_contacts", { ...arguments_, ...merge }))
await refused(foreign.rpc("soft_delete", { ...arguments_, object: "contact", ids: [person.id] }), "PT403", "PT404")
await must(own.rpc("soft_delete", { ...arguments_, object: "contact", ids: [person.id] }))
await must(own.rpc("restore", { ...arguments_, object: "contact", ids: [person.id] }))
done.push("functions")
console.log(JSON.stringify(done))
