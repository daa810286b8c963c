// The mini-program's example under a stand-in for WeChat, against a running service: a volunteer serves, a station head keeps a record.

const assert = require('node:assert/strict')
const path = require('node:path')
const wechat = require('./wx.cjs')

const { YIYONG_API, YIYONG_MINI_PROGRAM, SCENE, BINDING_CODE, STATION, PHOTO, PHONE } = process.env
const yiyong = require(path.join(YIYONG_MINI_PROGRAM, 'yiyong.js'))
yiyong.useBase(YIYONG_API)
const sent = (part) => wechat.requests.filter(({ url }) => url.includes(part))

/** Every answer to what is asked of an address is lost once, after the deed was done. */
function loses(part, times = 1) {
  wechat.breaks(async (send, { url }) => {
    const answer = await send()
    if (url.includes(part) && times-- > 0) throw new Error('interrupted')
    return answer
  })
}

function spoil(...names) {
  const tokens = wechat.storage.get('yiyong-tokens')
  for (const name of names) tokens[name] = tokens[name].replace(/.{8}$/, 'AAAAAAAA')
}

async function volunteer() {
  wechat.logsInWith('ok-oVolunteer.1', 'ok-oVolunteer.2')
  const page = wechat.open(path.join(YIYONG_MINI_PROGRAM, 'pages/service/service.js'))
  await page.onLoad({ scene: encodeURIComponent(SCENE) })
  assert(page.data.ticket, `nobody's yet: ${page.data.message}`)
  await page.onPhone({ detail: {} })
  assert.match(page.data.message, /手机号/)
  await page.onPhone({ detail: { code: `phone-${PHONE}` } })
  assert.deepEqual([page.data.message, page.data.ticket, page.data.records], ['', null, []])

  // The answer is lost, and the volunteer is checked in once.
  loses('/check-in')
  await page.onCheckIn()
  wechat.breaks()
  const keys = sent('/check-in').map(({ header }) => header['Idempotency-Key'])
  assert.deepEqual([page.data.message, keys.length, new Set(keys).size, page.data.records.length], ['', 2, 1, 1])
  assert.equal(page.data.records[0].state, '服务中')
  // Who is there already is told so, in words to show.
  await page.onCheckIn()
  assert.match(page.data.message, /[\u4e00-\u9fff]/)
  await page.onCheckOut({ currentTarget: { dataset: { id: page.data.records[0].id } } })
  assert.deepEqual([page.data.message, page.data.records[0].state, page.data.records[0].canCheckOut], ['', '待确认', false])

  // The access token ends: renewed once for all.
  spoil('access_token')
  await Promise.all([1, 2, 3, 4].map(() => yiyong.request('GET', '/service-records', { limit: 1 })))
  assert.equal(sent('/auth/refresh').length, 1)
  // The session ends, too: WeChat still knows who this is.
  spoil('access_token', 'refresh_token')
  assert.equal((await yiyong.request('GET', '/service-records')).data.items.length, 1)
  assert.equal(sent('/auth/wechat/login').length, 2)

  // Too often: waited for as told; too long: told.
  let refusals = 2
  const refuse = (wait) => new Response(JSON.stringify({ code: 'too_many_requests', title: '请求过于频繁' }), { status: 429, headers: { 'retry-after': wait } })
  wechat.breaks(async (send) => (refusals-- > 0 ? refuse('0') : send()))
  assert.equal((await yiyong.request('GET', '/service-records')).data.items.length, 1)
  wechat.breaks(async () => refuse('60'))
  await assert.rejects(yiyong.request('GET', '/service-records'), { code: 'too_many_requests', retryAfter: 60 })
  wechat.breaks()
  await yiyong.logout()
}

async function stationHead() {
  wechat.logsInWith('ok-oHead.1')
  const { ticket } = await yiyong.login()
  await assert.rejects(yiyong.bind(ticket, { binding_code: 'AAAAA-AAAAA' }), (error) => error.faults[0].pointer === '/binding_code')
  await yiyong.bind(ticket, { binding_code: BINDING_CODE })

  // A change is a POST that says what it is; whoever holds an older version is refused.
  const path = `/workstations/${STATION}`
  const { etag } = await yiyong.request('GET', path)
  loses(path)
  const changed = await yiyong.request('PATCH', path, { address: '少林大道 1 号' }, { etag })
  wechat.breaks()
  assert.equal(changed.data.address, '少林大道 1 号')
  assert.deepEqual(sent(path).map(({ method }) => method), ['GET', 'POST', 'POST'])
  await assert.rejects(yiyong.request('PATCH', path, { address: '别处' }, { etag }), { code: 'stale_version', status: 412 })

  // Two photos, two calls; an answer is lost, and there are still two.
  loses('/attachments')
  const added = await yiyong.attach('workstations', STATION, [PHOTO, PHOTO], '门前')
  wechat.breaks()
  assert.deepEqual([added.length, added[0].caption, sent('/attachments').length], [2, '门前', 3])
  const { data: kept } = await yiyong.request('GET', '/attachments', { resource: 'workstations', record_id: STATION })
  assert.equal(kept.items.length, 2)
  const shown = await fetch(yiyong.picture(kept.items[0].links.thumbnail))
  assert.deepEqual([shown.status, shown.headers.get('Content-Type')], [200, 'image/jpeg'])
  await assert.rejects(yiyong.attach('workstations', STATION, [__filename]), { code: 'unsupported_media_type' })
  await yiyong.logout()
}

volunteer()
  .then(stationHead)
  .then(() => console.log('the mini-program works'))
  .catch((error) => {
    console.error(error)
    process.exitCode = 1
  })
