// A volunteer's page: comes in by the code of a team (its scene), checks in and out, and sees what they have served.

const yiyong = require('../../yiyong.js')

const STATES = { checked_in: '服务中', checked_out: '待确认', confirmed: '已确认', rejected: '未认可' }

/** The day in China: instants come in UTC. */
const dayOf = (instant) => new Date(Date.parse(instant) + 8 * 3600 * 1000).toISOString().slice(0, 10)

Page({
  data: { ticket: null, records: [], cursor: null, message: '' },

  async onLoad(options) {
    // The code of a team opens the page with its scene, once escaped.
    this.scene = options.scene ? decodeURIComponent(options.scene) : null
    await this.tell(async () => {
      const { ticket } = await yiyong.login()
      this.setData({ ticket })
      if (!ticket) await this.list()
    })
  },

  /** <button open-type="getPhoneNumber" bindgetphonenumber="onPhone"> */
  async onPhone(event) {
    const { code } = event.detail
    if (!code) return this.setData({ message: '需要手机号才能找到您的志愿者档案' })
    await this.tell(async () => {
      await yiyong.bind(this.data.ticket, { phone_code: code })
      this.setData({ ticket: null })
      await this.list()
    })
  },

  /** One page of twenty; `cursor` goes on where the last ended. */
  async list(cursor) {
    const query = { limit: 20 }
    if (cursor) query.cursor = cursor
    const { data } = await yiyong.request('GET', '/service-records', query)
    const records = data.items.map((one) => ({
      id: one.id,
      day: dayOf(one.started_at),
      state: STATES[one.state],
      minutes: one.minutes,
      canCheckOut: one.allowed_actions.includes('check_out'),
    }))
    this.setData({ records: cursor ? this.data.records.concat(records) : records, cursor: data.next_cursor })
  },

  onReachBottom() {
    return this.data.cursor ? this.tell(() => this.list(this.data.cursor)) : undefined
  },

  async onPullDownRefresh() {
    await this.tell(() => this.list())
    wx.stopPullDownRefresh()
  },

  onCheckIn() {
    return this.tell(async () => {
      await yiyong.request('POST', '/service-records/check-in', { scene: this.scene })
      await this.list()
    })
  },

  onCheckOut(event) {
    return this.tell(async () => {
      await yiyong.request('POST', `/service-records/${event.currentTarget.dataset.id}/check-out`, {})
      await this.list()
    })
  },

  /** Whatever is refused is told in the service's own words. */
  async tell(work) {
    try {
      await work()
      this.setData({ message: '' })
    } catch (error) {
      const faults = (error.faults || []).map((fault) => fault.message)
      this.setData({ message: faults.length ? faults.join('；') : error.message })
    }
  },
})
